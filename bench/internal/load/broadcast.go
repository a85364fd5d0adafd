package load

import (
	"encoding/binary"
	"fmt"
	"syscall"
)

// broadcast subscribes all connections with one message each, publishes on the first, and awaits each message on all.
// Pipeline messages are under way; one that has arrived everywhere is followed by the next. What counts are deliveries,
// and their latency runs from the publication.
//
// On every connection the first message is its own; message k after that is the publisher's message k.
func (l *loop) broadcast() (Result, error) {
	if err := l.open(l.cfg.Conns, true); err != nil {
		return Result{}, err
	}
	l.once = true // deliveries are not followed by messages of their receivers
	b := &fanout{loop: l, msgs: l.codec.(*messages), missing: make([]int, l.cfg.Pipeline)}
	l.codec = b
	// All look up in the publisher's ring when a message was sent.
	for i := range l.conns {
		l.conns[i].sentAt = l.conns[0].sentAt
	}
	for range l.cfg.Pipeline {
		if err := b.publish(); err != nil {
			return Result{}, err
		}
	}
	return l.measure(func(c *conn, events uint32) error {
		if events&^uint32(syscall.EPOLLOUT) != 0 {
			if err := l.receive(c); err != nil {
				return err
			}
		}
		if events&syscall.EPOLLOUT != 0 {
			if err := l.flush(c); err != nil {
				return err
			}
		}
		for b.finished > 0 {
			b.finished--
			if err := b.publish(); err != nil {
				return err
			}
		}
		return nil
	})
}

// fanout is the codec of a broadcast. published messages have been sent; missing, a ring, says how many connections each
// of the last ones has yet to reach.
type fanout struct {
	*loop
	msgs      *messages
	published uint64
	missing   []int
	finished  int
}

func (b *fanout) append(p []byte, conn int, seq uint64) []byte { return b.msgs.append(p, conn, seq) }

func (b *fanout) publish() error {
	b.missing[b.published%uint64(len(b.missing))] = len(b.conns)
	b.published++
	// Every connection is told that one more is to come.
	for i := range b.conns {
		if c := &b.conns[i]; i > 0 {
			c.sent++
		}
	}
	return b.send(&b.conns[0], 1, b.now())
}

// next checks that p begins with message seq of the publisher; 0 was the subscription.
func (b *fanout) next(p []byte, conn int, seq uint64) (int, error) {
	size := b.msgs.size
	if len(p) < size {
		return 0, nil
	}
	if err := b.msgs.check(p, 0, seq); err != nil {
		return 0, fmt.Errorf("connection %d, message %#x: %w", conn, binary.LittleEndian.Uint64(p), err)
	}
	at := (seq - 1) % uint64(len(b.missing))
	if b.missing[at]--; b.missing[at] == 0 {
		b.finished++
	}
	return size, nil
}
