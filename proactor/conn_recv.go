//go:build linux

package proactor

import (
	"io"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

// startRecv submits a receive of the kind given. mu is held, the worker owned.
func (c *Conn) startRecv(kind op.Kind) {
	c.recv.Kind = kind
	if kind == op.RecvInto { // the rescue
		c.recv.Buf = make([]byte, rescueBytes)
	}
	if err := c.loop.backend.Submit(&c.recv); err != nil {
		c.recv.Buf = nil
		c.endRecv(err)
		return
	}
	c.recvOn = true
}

// onRecv takes one completion in. mu is held, the worker owned.
func (c *Conn) onRecv(r *op.Completion) {
	if !r.More {
		c.recvOn = false
	}
	switch {
	case r.Errno != 0:
		c.recvFailed(r)
	case r.Result == 0:
		c.endRecv(io.EOF)
	case c.recv.Kind == op.RecvInto:
		c.arrived(buffers.Wrap(c.recv.Buf[:r.Result:r.Result]))
	default:
		c.arrived(r.Lease)
	}
	if !c.recvOn {
		c.recv.Buf = nil
		switch {
		case c.wantsRecv():
			c.startRecv(op.Recv)
		case c.h == nil:
			c.notify() // somebody may wait for the end of it
			if c.wait != nil {
				c.wait.wakeStopping()
			}
		}
	}
}

// arrived queues bytes for the reader, and stops receiving when it has got too far behind.
func (c *Conn) arrived(l buffers.Lease) {
	if c.closed {
		c.discarded = true
		l.Release()
		return
	}
	c.count(l.Len())
	c.inbox.push(l)
	if !c.paused && c.behind() {
		c.paused = true
		if c.recvOn {
			c.loop.backend.Cancel(&c.recv)
		}
	}
	c.notify()
}

// burst is how many times the quota may arrive in one turn: the kernel goes on receiving up to 32 times for one wake-up.
const burst = 8

// behind reports whether the reader has got too far behind.
func (c *Conn) behind() bool { return c.loop.behind(c.inbox.len(), c.receiveQuota(), &c.fullIn) }

// behind reports whether the reader of an inbox that holds n has got too far behind. fullIn is the turn in which it came to be
// full. A full inbox alone does not mean that: it is full after each turn of a fast transfer, and stopping for that
// would cost a cancel and a new receive per turn. It means it if the inbox was full in an earlier turn, and the reader has
// had its chance since.
func (l *loop) behind(n, quota int, fullIn *uint32) bool {
	switch {
	case n < quota:
		*fullIn = 0
		return false
	case n >= burst*quota:
		return true
	case *fullIn == 0:
		*fullIn = l.turn
		return false
	default:
		return *fullIn != l.turn
	}
}

func (c *Conn) recvFailed(r *op.Completion) {
	switch {
	case c.closed, c.recv.Again(r), r.Errno == syscall.ECANCELED:
		// Closed, to be armed again, or paused; onRecv goes on from here.
	case r.Errno == syscall.ENOBUFS:
		// Data waits and the loop has no buffer for it. Whoever holds the buffers must not hold this connection up.
		c.loop.starved.Add(1)
		if c.wantsRecv() {
			c.startRecv(op.RecvInto)
		}
	default:
		c.endRecv(callError("read", r.Errno))
	}
}

// endRecv ends the receiving side for good.
func (c *Conn) endRecv(err error) {
	if c.rerr() == nil {
		c.setRerr(err)
	}
	c.notify()
}

// notify tells whoever serves the connection that the inbox or rerr has changed. mu is held; any goroutine.
func (c *Conn) notify() {
	if c.h != nil {
		c.loop.w.Ready(&c.task)
		return
	}
	if c.wait != nil && c.wait.reading {
		c.wait.read.Wake()
	}
}

// taken is called after the inbox got shorter. It reports whether receiving is to be resumed by a kick.
func (c *Conn) taken() bool {
	if !c.paused || c.inbox.len() > c.receiveQuota()/2 {
		return false
	}
	c.paused = false
	return !c.closed
}
