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

// sendable returns why nothing can be sent now. mu is held.
func (c *PacketConn) sendable() error {
	switch {
	case c.closed:
		return ErrClosed
	case c.passed(c.writeAt):
		return os.ErrDeadlineExceeded
	case c.broken != nil:
		return c.broken
	case c.rerr != nil:
		// The receive has taken the error from the socket before this call could.
		err := c.rerr
		c.rerr = nil
		if e, ok := err.(*os.SyscallError); ok {
			err = os.NewSyscallError("sendmsg", e.Err)
		}
		return err
	}
	return nil
}

// WriteMsgs sends ms in order, and waits where the socket has no room. It returns how many were sent, and with fewer than
// all why not the next; N of each says how many bytes went. ms and what it points to must stay alone until it returns.
//
// From a coroutine of the socket's worker, a single message joins the turn's submissions when others are ready to run.
// Otherwise the system call is made at once, one for all of ms.
func (c *PacketConn) WriteMsgs(ms []dgram.Msg) (int, error) { return c.writeMsgs(noContext, ms) }

// ownContext is a context of one call, which tells its batch by it. A user's may serve many calls, or not even be comparable.
type ownContext struct{ context.Context }

// WriteMsgsContext is WriteMsgs that ends with ctx too, and then returns ctx.Err() with how many were sent.
func (c *PacketConn) WriteMsgsContext(ctx context.Context, ms []dgram.Msg) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ctx = &ownContext{ctx}
	defer context.AfterFunc(ctx, func() {
		c.mu.Lock()
		for _, l := range []*sendList{&c.waiting, &c.flying} {
			for b := l.head; b != nil; b = b.next {
				b.expired = b.expired || b.ctx == ctx
			}
		}
		c.mu.Unlock()
		c.kick()
	})()
	n, err := c.writeMsgs(ctx, ms)
	if err == os.ErrDeadlineExceeded && ctx.Err() != nil {
		err = ctx.Err()
	}
	return n, err
}

func (c *PacketConn) writeMsgs(ctx context.Context, ms []dgram.Msg) (int, error) {
	done := 0
	for {
		c.mu.Lock()
		if err := c.sendable(); err != nil {
			c.mu.Unlock()
			return done, err
		}
		if len(ms) == 0 {
			c.mu.Unlock()
			return 0, nil
		}
		if len(ms) == 1 && c.batchable() {
			c.mu.Unlock()
			n, err := c.writeThrough(ctx, ms[done:])
			return done + n, err
		}
		c.uses++
		c.mu.Unlock()
		n, errno := c.loop.engine.datagrams.SendMsgs(int(c.fd), ms[done:])
		c.mu.Lock()
		c.uses--
		c.finish()
		c.mu.Unlock()
		done += n
		switch {
		case done == len(ms):
			return done, nil // whatever the socket has to say by now is for the next call
		case errno == syscall.EAGAIN:
			// No room: the backend waits for it.
			n, err := c.writeThrough(ctx, ms[done:done+1])
			done += n
			if err != nil || done == len(ms) {
				return done, err
			}
		case errno != 0:
			return done, callError("sendmsg", errno)
		}
	}
}

// batchable reports whether the caller is on the worker and shares the turn with others.
func (c *PacketConn) batchable() bool {
	if !c.loop.batches {
		return false
	}
	s, ok := c.loop.w.Enter()
	if !ok {
		return false
	}
	s.Leave()
	return !c.loop.w.Alone()
}

// writeThrough sends ms by operations of the backend, and waits for their end.
func (c *PacketConn) writeThrough(ctx context.Context, ms []dgram.Msg) (int, error) {
	b := takeBatch(c, ms, true)
	b.waiter.PrepareNear(c.loop.w)
	s, on := c.loop.w.Enter()
	c.mu.Lock()
	b.ctx, b.expired = ctx, ended(ctx) != nil
	c.waiting.push(b)
	if c.writeAt != 0 {
		c.arm(c.writeAt)
	}
	if on {
		c.reconcile()
	}
	c.mu.Unlock()
	if on {
		s.Leave()
	} else if !c.loop.w.Command(&c.ctl) {
		c.mu.Lock()
		if c.broken == nil {
			c.broken = ErrClosed
		}
		c.reconcile() // the worker has ended, so nobody else owns it
		c.mu.Unlock()
	}
	b.waiter.Wait()
	n, err := b.failed, b.err
	b.free()
	return n, err
}

// sendOverhead is what a datagram counts besides its bytes. Without it empty ones would have no bound.
const sendOverhead = 512

// Send sends a datagram without waiting: it copies the payload, and the kernel takes it with the turn's other submissions.
// name is a struct sockaddr, nil on a connected socket; control are control messages, usually nil. An error that the
// kernel reports later is counted (Dropped), as for a datagram that is lost on its way. The bytes not sent yet are
// bounded by Config.WriteQueue, where each datagram counts 512 more than it has, for what keeping it takes:
// ErrWriteQueueFull.
func (c *PacketConn) Send(payload, name, control []byte) error {
	s, on := c.loop.w.Enter()
	c.mu.Lock()
	err := c.sendable()
	cost := sendOverhead + len(payload) + len(control)
	if err == nil && c.outBytes > 0 && c.outBytes+cost > c.loop.engine.writeQueue {
		err = ErrWriteQueueFull
	}
	if err == nil {
		b := takeBatch(c, nil, false)
		b.keep(payload, name, control)
		c.outBytes += cost
		if on {
			c.start(b)
		} else {
			c.waiting.push(b)
		}
	}
	c.mu.Unlock()
	if on {
		s.Leave()
	} else if err == nil {
		c.loop.w.Command(&c.ctl)
	}
	return err
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
