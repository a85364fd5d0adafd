package load

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/ouro-io/ouro/bench/protocol"
)

// conn is one connection of the echo load. Invariants: sent-received messages are in flight, at most len(sentAt);
// sentAt[seq%len] is when message seq was handed to write; carry is the beginning of message received; pending is
// what write did not take, and the connection waits for EPOLLOUT exactly while it is not empty; due is how many messages
// are to be sent at the end of the turn, and the connection is in loop.due exactly while it is not 0.
type conn struct {
	fd             int32
	id             int
	due            int
	sent, received uint64
	sentAt         []int64
	carry          []byte
	pending        []byte
}

var errEnded = errors.New("the server closed the connection")

// errnoError gives a failed system call its name; 0 and EOF are the caller's business.
func errnoError(call string, id int, e syscall.Errno) error {
	return fmt.Errorf("connection %d: %w", id, os.NewSyscallError(call, e))
}

// send puts n more messages in flight.
func (l *loop) send(c *conn, n int, now int64) error {
	b := l.scratch[:0]
	for range n {
		c.sentAt[c.sent%uint64(len(c.sentAt))] = now
		b = l.codec.append(b, c.id, c.sent)
		c.sent++
	}
	l.scratch = b
	if len(c.pending) > 0 {
		c.pending = append(c.pending, b...)
		return nil
	}
	w, e := write(c.fd, b)
	if e != 0 {
		if e != syscall.EAGAIN && e != syscall.EINTR {
			return errnoError("write", c.id, e)
		}
		w = 0
	}
	if w < len(b) {
		c.pending = append(c.pending, b[w:]...)
		return l.watch(c, true)
	}
	return nil
}

// sendDue sends what this turn's echoes gave rise to. All of it leaves together, after everything that had arrived was
// read, as segments from many peers arrive together at a network card: the server has the chance to batch, and is not
// made to run once per message when it shares the CPU.
func (l *loop) sendDue() error {
	for _, id := range l.due {
		c := &l.conns[id]
		n := c.due
		c.due = 0
		if err := l.send(c, n, l.now()); err != nil {
			return err
		}
	}
	l.due = l.due[:0]
	return nil
}

// flush writes what is pending.
func (l *loop) flush(c *conn) error {
	if len(c.pending) == 0 {
		return nil
	}
	w, e := write(c.fd, c.pending)
	if e == syscall.EAGAIN || e == syscall.EINTR {
		return nil
	}
	if e != 0 {
		return errnoError("write", c.id, e)
	}
	c.pending = c.pending[:copy(c.pending, c.pending[w:])]
	if len(c.pending) == 0 {
		return l.watch(c, false)
	}
	return nil
}

// receive reads what is there; each finished message is to be followed by a new one, unless the loop says otherwise.
func (l *loop) receive(c *conn) error {
	for {
		n, e := read(c.fd, l.rbuf)
		switch {
		case e == syscall.EAGAIN || e == syscall.EINTR:
			return nil
		case e != 0:
			return errnoError("read", c.id, e)
		case n == 0:
			return fmt.Errorf("connection %d: %w: %w", c.id, errEnded, io.ErrUnexpectedEOF)
		}
		done, err := l.take(c, l.rbuf[:n], l.now())
		if err != nil {
			return err
		}
		l.progress += uint64(n)
		if done > 0 && !l.once && l.cfg.Rate == 0 {
			if c.due == 0 {
				l.due = append(l.due, c.id)
			}
			c.due += done
		}
		if n < len(l.rbuf) {
			return nil
		}
	}
}

// take checks received bytes and returns how many messages they complete.
func (l *loop) take(c *conn, b []byte, now int64) (done int, err error) {
	if len(c.carry) > 0 {
		c.carry = append(c.carry, b...)
		b = c.carry
	}
	for len(b) > 0 {
		if c.received == c.sent {
			return done, fmt.Errorf("connection %d got more than it sent", c.id)
		}
		n, err := l.codec.next(b, c.id, c.received)
		if err != nil {
			return done, err
		}
		if n == 0 {
			break
		}
		if l.recording && l.counts(c.received) {
			l.record(now - c.sentAt[c.received%uint64(len(c.sentAt))])
		}
		b = b[n:]
		c.received++
		done++
	}
	if len(b) == 0 || len(c.carry) == 0 || &b[0] != &c.carry[0] {
		c.carry = append(c.carry[:0], b...)
	}
	l.completed += uint64(done)
	return done, nil
}

// counts reports whether the latency of message seq is of interest.
func (l *loop) counts(seq uint64) bool {
	return l.cfg.Kind != Block || !protocol.Blocks([]byte{byte(seq)})
}

func (l *loop) record(ns int64) { protocol.Record(l.hist, ns) }
