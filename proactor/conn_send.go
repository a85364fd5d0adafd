//go:build linux

package proactor

import (
	"sync"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

// maxTransfer bounds one operation, as the kernel does; what is longer goes in pieces.
const maxTransfer = 1 << 30

// outgoing is what a Conn needs while it sends. It comes from a pool when a Write gets its turn or Send accepts bytes, and
// goes back when there is neither (restOut). The Conn's mu guards it.
type outgoing struct {
	op     op.Op
	send   *op.Op         // in flight while the Conn's sendOn: op, or one of conn_zerocopy.go
	bytes  []byte         // what is left of the send under way
	sent   int            // how much of it went
	lease  buffers.Lease  // holds bytes when they came through Send
	queue  leaseQueue     // what Send accepted behind them
	queued int            // bytes that Send has accepted and the kernel has not taken
	cancel bool           // the send under way is to end
	zc     *zeroCopyLease // the Write under way is one of leases, or it holds lease
}

var outgoings = sync.Pool{New: func() any { return &outgoing{op: op.Op{Kind: op.Send}} }}

// drop gives up what Send has accepted.
func (o *outgoing) drop() {
	o.dropLease()
	o.queue.drop()
	o.queued = 0
}

// dropLease lets go of lease, which the kernel may still be reading from when it goes without a copy.
func (o *outgoing) dropLease() {
	switch {
	case !o.lease.Valid():
		return // zc, if any, is a WriteLease's
	case o.zc != nil:
		o.zc.release()
		o.zc = nil
	default:
		o.lease.Release()
	}
	o.lease = buffers.Lease{}
}

// next makes the oldest of the queue the send under way.
func (o *outgoing) next() {
	o.lease = o.queue.pop()
	o.bytes = o.lease.Bytes()
}

// withoutOp is o with an operation of its own: the one in flight is left to a backend that broke.
func (o *outgoing) withoutOp() *outgoing {
	n := *o
	n.op, n.send = op.Op{Kind: op.Send}, nil
	return &n
}

// outBytes is what is left of the send under way.
func (c *Conn) outBytes() []byte {
	if c.out == nil {
		return nil
	}
	return c.out.bytes
}

// needOut makes sure of out.
func (c *Conn) needOut() *outgoing {
	if c.out == nil {
		c.out = outgoings.Get().(*outgoing)
	}
	return c.out
}

// restOut gives out back once nothing is left to send.
func (c *Conn) restOut() {
	o := c.out
	if o == nil || c.writing || c.sendOn || len(o.bytes) > 0 || o.lease.Valid() || o.queue.len() > 0 {
		return
	}
	c.out = nil
	o.op.Done, o.op.Buf = nil, nil
	o.bytes, o.sent, o.queued, o.cancel = nil, 0, 0, false
	outgoings.Put(o)
}

// beginWrite gives the turn to the caller's Write. mu is held.
func (c *Conn) beginWrite() {
	c.writing = true
	c.needOut().sent = 0
}

// startSend submits out.bytes. mu is held, the worker owned.
func (c *Conn) startSend() {
	if c.out.lease.Valid() && c.out.zc == nil && c.sharesMemory(len(c.out.bytes)) {
		c.out.zc = newZeroCopyLease(c.out.lease)
	}
	if c.out.zc != nil && c.startZeroCopy() {
		return
	}
	o := &c.out.op
	o.Done, o.FD, o.Buf = c, c.fd, c.out.bytes[:min(len(c.out.bytes), maxTransfer)]
	if err := c.loop.backend.Submit(o); err != nil {
		c.endSend(err)
		return
	}
	c.out.send, c.sendOn = o, true
}

// onSend takes the completion of a send in. mu is held, the worker owned.
func (c *Conn) onSend(r *op.Completion) {
	c.sendOn = false
	o := c.out
	if o.send != &o.op {
		c.zeroCopyRefused(r)
	}
	o.send = nil
	switch {
	case r.Errno == 0 && o.zc != nil:
		o.advance(int(r.Result))
	case r.Errno == 0:
		o.sent += int(r.Result)
		o.bytes = o.bytes[r.Result:]
	case r.Errno == syscall.EINTR || r.Errno == syscall.ECANCELED:
		// Ours, or to be sent again: which follows from the state.
	default:
		c.endSend(callError("write", r.Errno))
		return
	}
	if len(o.bytes) > 0 && c.werr() == nil && !c.stopsSend() {
		c.startSend()
		return
	}
	c.sendDone()
}

// endSend ends the sending side for good.
func (c *Conn) endSend(err error) {
	if c.werr() == nil {
		c.setWerr(err)
	}
	c.sendDone()
}

// sendDone wakes the Write whose bytes went (or will not), or goes on with what Send has queued.
func (c *Conn) sendDone() {
	if c.writing {
		c.wait.write.Wake()
		return
	}
	if o := c.out; o != nil {
		o.dropLease()
		o.queued -= o.sent + len(o.bytes)
		o.bytes, o.sent = nil, 0
		if c.long && o.queued <= c.writeQueue()/4 {
			c.setBacklog(false)
		}
	}
	if c.werr() != nil {
		if c.out != nil {
			c.out.drop()
		}
		c.notify()
	}
	c.nextOut()
}

// nextOut starts the next send of the queue. mu is held, the worker owned.
func (c *Conn) nextOut() {
	if c.out == nil || c.out.queue.len() == 0 {
		c.restOut()
		if c.wait != nil {
			c.wait.passTurn()
		}
		return
	}
	c.out.next()
	c.startSend()
}

// Send queues the bytes of l, in order, and returns without waiting. It takes l over in any case and releases it when the
// bytes are with the kernel, or when that has let go of them (see SetZeroCopy). The queue is bounded by Config.WriteQueue:
// ErrWriteQueueFull.
func (c *Conn) Send(l buffers.Lease) error {
	p := l.Bytes() // here, as debug mode panics when l was released: c must not stay locked
	s, on := c.loop.w.Enter()
	c.mu.Lock()
	start, err := c.enqueue(l, p)
	switch {
	case !start || !on:
	case c.loop.batches:
		c.startSend()
	default:
		c.sendAtOnce()
	}
	c.mu.Unlock()
	if on {
		s.Leave()
	} else if start {
		c.kick()
	}
	return err
}

// sendAtOnce makes the system call that the backend would make, and leaves to it what the socket does not take. That is all
// that most sends need. mu is held, the worker owned.
func (c *Conn) sendAtOnce() {
	o := c.out
	n, errno := c.loop.engine.system.Send(int(c.fd), o.bytes)
	o.sent, o.bytes = n, o.bytes[n:]
	switch {
	case errno != 0 && !again(errno):
		c.endSend(callError("write", errno))
	case len(o.bytes) > 0:
		c.startSend()
	default:
		c.sendDone()
	}
}

// enqueue takes l over, whose bytes are p. It reports whether a send is to be started. mu is held.
func (c *Conn) enqueue(l buffers.Lease, p []byte) (start bool, err error) {
	if err = c.sendable(len(p)); err != nil || len(p) == 0 {
		l.Release()
		return false, err
	}
	o := c.needOut()
	o.queued += len(p)
	if !c.long {
		c.swells()
	}
	if c.writing || o.lease.Valid() || o.queue.len() > 0 {
		o.queue.push(l)
		return false, nil
	}
	o.lease, o.bytes = l, p
	return true, nil
}

func (c *Conn) sendable(n int) error {
	switch {
	case c.closed:
		return ErrClosed
	case c.werr() != nil:
		return c.werr()
	case n > 0 && c.out != nil && c.out.queued > 0 && c.out.queued+n > c.writeQueue():
		return ErrWriteQueueFull
	}
	return nil
}
