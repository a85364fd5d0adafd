//go:build linux

package proactor

import (
	"context"
	"os"
	"syscall"

	"github.com/ouro-io/ouro/internal/dgram"
)

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
		return named("sendmsg", err)
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
