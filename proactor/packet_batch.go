//go:build linux

package proactor

import (
	"context"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/op"
)

// sendBatch are messages that one call sends through the backend. Its owner is the caller until it is in a list of its
// PacketConn; from then on the conn's mu guards it. When its last operation has ended, it leaves the list and goes back:
// to who waits, or to the pool.
type sendBatch struct {
	conn       *PacketConn
	msgs       []dgram.Msg
	sends      []packetSend
	next, prev *sendBatch
	pending    int // operations in flight
	err        error
	failed     int // the first message that failed, len(msgs) when none did
	waits      bool
	expired    bool
	cancelled  bool
	waiter     executor.Waiter
	ctx        context.Context // whose end ends it, see WriteMsgsContext

	// What Send keeps: the message with its own memory.
	one     [1]dgram.Msg
	iov     unix.Iovec
	payload []byte
	name    [dgram.NameBytes]byte
	control []byte
}

// packetSend is the operation of one message. It stays where it is while in flight.
type packetSend struct {
	op    op.Op
	batch *sendBatch
	index int
}

// sendList is a list of batches in order.
type sendList struct{ head, tail *sendBatch }

func (l *sendList) push(b *sendBatch) {
	b.next, b.prev = nil, l.tail
	if l.tail == nil {
		l.head = b
	} else {
		l.tail.next = b
	}
	l.tail = b
}

func (l *sendList) remove(b *sendBatch) {
	if b.prev == nil {
		l.head = b.next
	} else {
		b.prev.next = b.next
	}
	if b.next == nil {
		l.tail = b.prev
	} else {
		b.next.prev = b.prev
	}
	b.next, b.prev = nil, nil
}

func (l *sendList) pop() *sendBatch {
	b := l.head
	if b != nil {
		l.remove(b)
	}
	return b
}

var sendBatches = sync.Pool{New: func() any { return new(sendBatch) }}

func takeBatch(c *PacketConn, msgs []dgram.Msg, waits bool) *sendBatch {
	b := sendBatches.Get().(*sendBatch)
	b.conn, b.msgs, b.failed, b.waits = c, msgs, len(msgs), waits
	if cap(b.sends) < len(msgs) {
		b.sends = make([]packetSend, len(msgs))
	}
	b.sends = b.sends[:len(msgs)]
	return b
}

func (b *sendBatch) free() {
	if !b.conn.loop.engine.direct {
		return // as PacketConn.giveBack
	}
	clear(b.sends)
	b.conn, b.msgs, b.err, b.ctx = nil, nil, nil, nil
	b.expired, b.cancelled, b.waits = false, false, false
	b.one[0], b.iov = dgram.Msg{}, unix.Iovec{}
	sendBatches.Put(b)
}

// start submits the operations of b, which is in no list. mu is held, the worker owned.
func (c *PacketConn) start(b *sendBatch) {
	switch {
	case c.closed && (b.waits || c.lingerAt == 0):
		b.fail(0, ErrClosed)
	case c.broken != nil:
		b.fail(0, c.broken)
	case b.expired:
		b.fail(0, os.ErrDeadlineExceeded)
	default:
		for i := range b.sends {
			s := &b.sends[i]
			s.batch, s.index = b, i
			s.op.Kind, s.op.FD, s.op.Done = op.SendMsg, c.fd, s
			s.op.SetMsg(&b.msgs[i].Hdr)
			if err := c.loop.backend.Submit(&s.op); err != nil {
				b.fail(i, err)
				break
			}
			b.pending++
		}
	}
	if b.pending > 0 {
		c.flying.push(b)
		c.fence.need(c.loop)
		return
	}
	b.done()
}

// fail notes why message i was not sent, unless one before it failed.
func (b *sendBatch) fail(i int, err error) {
	if i < b.failed {
		b.failed, b.err = i, err
	}
}

// cancel asks for the end of what is in flight. The worker is owned.
func (b *sendBatch) cancel() {
	if b.cancelled {
		return
	}
	b.cancelled = true
	for i := range b.sends {
		b.conn.loop.backend.Cancel(&b.sends[i].op)
	}
}

// lost ends b when the backend has broken: its operations are never used again.
func (b *sendBatch) lost(err error) {
	b.fail(0, err)
	for i := range b.sends {
		b.sends[i].batch = nil
	}
	b.sends, b.pending = nil, 0
	b.done()
}

// done hands b back. mu is held.
func (b *sendBatch) done() {
	if b.waits {
		b.waiter.Wake()
		return
	}
	c := b.conn
	c.outBytes -= sendOverhead + len(b.payload) + len(b.control)
	if b.err != nil {
		c.dropped++
	}
	b.free()
}

// Complete is told by the backend, in loop state.
func (s *packetSend) Complete(o *op.Op, r *op.Completion) {
	b := s.batch
	if b == nil {
		return // the backend broke before, see lost
	}
	c := b.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	again := r.Errno != 0 && o.Again(r)
	if again && !c.ends(b) {
		if err := c.loop.backend.Submit(o); err == nil {
			return
		}
	}
	if b.pending == 0 {
		return
	}
	b.pending--
	stopped := again || r.Errno == syscall.ECANCELED // EINTR too may be how it ends
	switch {
	case r.Errno == 0:
		b.msgs[s.index].N = uint32(r.Result)
	case stopped && c.closed:
		b.fail(s.index, ErrClosed)
	case stopped && b.expired:
		b.fail(s.index, os.ErrDeadlineExceeded)
	default:
		b.fail(s.index, callError("sendmsg", r.Errno))
	}
	if b.pending == 0 {
		c.flying.remove(b)
		b.done()
		c.finish()
	}
}

// keep copies a message into b.
func (b *sendBatch) keep(payload, name, control []byte) {
	b.payload = append(b.payload[:0], payload...)
	b.control = append(b.control[:0], control...)
	h := &b.one[0].Hdr
	if len(payload) > 0 {
		b.iov.Base = &b.payload[0]
		b.iov.SetLen(len(payload))
	}
	h.Iov = &b.iov
	h.SetIovlen(1)
	if n := copy(b.name[:], name); n > 0 {
		h.Name, h.Namelen = &b.name[0], uint32(n)
	}
	if len(control) > 0 {
		h.Control = &b.control[0]
		h.SetControllen(len(control))
	}
	b.msgs = b.one[:]
	b.failed = 1
	if cap(b.sends) < 1 {
		b.sends = make([]packetSend, 1)
	}
	b.sends = b.sends[:1]
}
