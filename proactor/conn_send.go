package proactor

import (
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

// maxTransfer bounds one operation, as the kernel does; what is longer goes in pieces.
const maxTransfer = 1 << 30

// startSend submits out. mu is held, the worker owned.
func (c *Conn) startSend() {
	if c.zc != nil && c.startZeroCopy() {
		return
	}
	o := c.loop.takeSend()
	o.Done, o.FD, o.Buf = c, c.fd, c.out[:min(len(c.out), maxTransfer)]
	if err := c.loop.backend.Submit(o); err != nil {
		c.loop.giveSend(o)
		c.endSend(err)
		return
	}
	c.send, c.sendOn = o, true
}

// onSend takes the completion of a send in. mu is held, the worker owned.
func (c *Conn) onSend(r *op.Completion) {
	c.sendOn = false
	if c.send.Kind == op.Send {
		c.loop.giveSend(c.send)
	} else {
		c.zeroCopyRefused(r)
	}
	c.send = nil
	switch {
	case r.Errno == 0:
		c.sent += int(r.Result)
		c.out = c.out[r.Result:]
	case r.Errno == syscall.EINTR || r.Errno == syscall.ECANCELED:
		// Ours, or to be sent again: which follows from the state.
	default:
		c.endSend(callError("write", r.Errno))
		return
	}
	if len(c.out) > 0 && c.werr == nil && !c.stopsSend() {
		c.startSend()
		return
	}
	c.sendDone()
}

// endSend ends the sending side for good.
func (c *Conn) endSend(err error) {
	if c.werr == nil {
		c.werr = err
	}
	c.sendDone()
}

// sendDone wakes the Write whose bytes went (or will not), or goes on with what Send has queued.
func (c *Conn) sendDone() {
	if c.writing {
		c.wait.write.Wake()
		return
	}
	c.outLease.Release()
	c.outBytes -= c.sent + len(c.out)
	c.outLease, c.out, c.sent = buffers.Lease{}, nil, 0
	if c.werr != nil {
		c.outq.drop()
		c.outBytes = 0
		c.notify()
	}
	c.nextOut()
}

// nextOut starts the next send of the queue. mu is held, the worker owned.
func (c *Conn) nextOut() {
	if c.outq.len() == 0 {
		if c.wait != nil {
			c.wait.passTurn()
		}
		return
	}
	c.outLease = c.outq.pop()
	c.out = c.outLease.Bytes()
	c.startSend()
}

// Send queues the bytes of l, in order, and returns without waiting. It takes l over in any case and releases it when the
// bytes are with the kernel. The queue is bounded by Config.WriteQueue: ErrWriteQueueFull.
func (c *Conn) Send(l buffers.Lease) error {
	s, on := c.loop.w.Enter()
	c.mu.Lock()
	start, err := c.enqueue(l)
	if start && on {
		c.startSend()
	}
	c.mu.Unlock()
	if on {
		s.Leave()
	} else if start {
		c.kick()
	}
	return err
}

// enqueue takes l over. It reports whether a send is to be started. mu is held.
func (c *Conn) enqueue(l buffers.Lease) (start bool, err error) {
	err = c.sendable(l.Len())
	switch {
	case err != nil || l.Len() == 0:
		l.Release()
	case c.writing || c.outLease.Valid() || c.outq.len() > 0:
		if c.outq == nil {
			c.outq = new(leaseQueue)
		}
		c.outq.push(l)
		c.outBytes += l.Len()
	default:
		c.outLease, c.out = l, l.Bytes()
		c.outBytes += l.Len()
		start = true
	}
	return start, err
}

func (c *Conn) sendable(n int) error {
	switch {
	case c.closed:
		return ErrClosed
	case c.werr != nil:
		return c.werr
	case c.outBytes+n > c.writeQueue() && c.outBytes > 0:
		return ErrWriteQueueFull
	}
	return nil
}
