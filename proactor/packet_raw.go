//go:build linux

package proactor

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/op"
)

// packetRaw is what a PacketConn needs besides where callers make the system calls themselves and only wait through the
// engine: a poll for each side. The PacketConn's mu guards it; it is made at first use.
//
// From NoReadAhead on no receive is submitted any more (wantsRecv), and one in flight is cancelled; what it still brings
// goes to the inbox, as all that it brought before. Only when it has ended does anybody receive by a system call, so that
// nothing overtakes what the engine has taken from the socket. A reader that finds the inbox empty makes the call, and
// waits for the poll when there is nothing. The end of either wakes all readers: they are few.
type packetRaw struct {
	in, out poll
	writers []*executor.Waiter
}

// NoReadAhead has the engine receive nothing on its own: from now on each read makes the system call, and waits for the
// socket to become readable where it has to. For callers that read the descriptor themselves (ReadWith). What was received
// already is still read first. It cannot be switched back.
func (c *PacketConn) NoReadAhead() {
	c.mu.Lock()
	if c.direct {
		c.mu.Unlock()
		return
	}
	c.direct = true
	c.wakeReaders() // who waits for the receive goes on by itself
	kick := c.recvOn
	c.mu.Unlock()
	if kick {
		c.kick()
	}
}

// rawState returns the polls, made at first use. mu is held.
func (c *PacketConn) rawState() *packetRaw {
	if c.raw == nil {
		c.raw = &packetRaw{in: newPoll(c.fd, unix.EPOLLIN, c), out: newPoll(c.fd, unix.EPOLLOUT, c)}
	}
	return c.raw
}

// polled reports whether a poll is in flight.
func (c *PacketConn) polled() bool { return c.raw != nil && (c.raw.in.on || c.raw.out.on) }

// reconcilePolls is reconcile's part here. mu is held, the worker owned.
func (c *PacketConn) reconcilePolls() {
	r := c.raw
	if r == nil {
		return
	}
	err := errors.Join(r.in.reconcile(c.loop.backend, c.closed), r.out.reconcile(c.loop.backend, c.closed))
	if c.polled() {
		c.fence.need(c.loop)
	}
	if err != nil {
		c.broken = err
		c.wakeReaders()
		c.wakeWriters()
	}
}

// onPoll takes a completion of a poll in. It reports false when o is none. mu is held, the worker owned.
func (c *PacketConn) onPoll(o *op.Op, r *op.Completion) bool {
	p := c.raw
	switch {
	case p == nil:
		return false
	case o == &p.in.op && p.in.on:
		if p.in.ended(r, c.closed) {
			c.wakeReaders()
		}
	case o == &p.out.op && p.out.on:
		if p.out.ended(r, c.closed) {
			c.wakeWriters()
		}
	default:
		return false
	}
	c.reconcilePolls()
	return true
}

func (c *PacketConn) wakeWriters() {
	if c.raw == nil {
		return
	}
	for _, w := range c.raw.writers {
		w.Wake()
	}
	c.raw.writers = nil
}

// recvDirect receives one packet into the inbox, by a system call. It reports false when there is none yet. mu is held, and
// released meanwhile.
func (c *PacketConn) recvDirect() bool {
	b := make([]byte, packetFront+packetMax)
	var h unix.Msghdr
	iov := unix.Iovec{Base: &b[packetFront]}
	iov.SetLen(packetMax)
	h.Name, h.Namelen = &b[op.MsgHeadBytes], dgram.NameBytes
	h.Control = &b[op.MsgHeadBytes+dgram.NameBytes]
	h.SetControllen(packetControl)
	h.Iov = &iov
	h.SetIovlen(1)
	c.uses++
	c.mu.Unlock()
	n, errno := c.loop.engine.datagrams.RecvMsg(int(c.fd), &h)
	c.mu.Lock()
	c.uses--
	c.finish()
	switch {
	case again(errno):
		return false
	case errno != 0:
		c.rerr = callError("read", errno)
	default:
		op.MsgHead{Name: h.Namelen, Control: uint32(h.Controllen), Payload: uint32(n), Flags: uint32(h.Flags)}.Put(b)
		c.arrived(buffers.Wrap(b[: packetFront+n : packetFront+n]))
	}
	return true
}

// unreadable returns why nobody can wait for a packet. mu is held.
func (c *PacketConn) unreadable(ctx context.Context) error {
	switch {
	case c.closed:
		return ErrClosed
	case c.passed(c.readAt):
		return os.ErrDeadlineExceeded
	case c.rerr != nil && c.inbox.len() == 0:
		err := c.rerr
		c.rerr = nil
		return err
	case c.broken != nil:
		return c.broken
	}
	return ended(ctx)
}

// ReadWith calls f with the descriptor, which is non-blocking, and again whenever the socket may be readable, until f
// reports that it is done; from then on nothing is received ahead (NoReadAhead). It is what syscall.RawConn's Read is.
// The errors are ErrClosed, os.ErrDeadlineExceeded (the read deadline), ErrReadAhead while packets wait that the engine has
// received already (the other methods read them), an error of the socket that the engine was told before, and none of
// f's. Other reads may come in between.
func (c *PacketConn) ReadWith(f func(fd int) bool) error {
	c.NoReadAhead()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.recvOn && !c.closed && c.broken == nil {
		c.waitReadable(noContext) // also where the deadline is over: what follows is to find nothing received ahead of it
	}
	for {
		if err := c.unreadable(noContext); err != nil {
			return err
		}
		if c.inbox.len() > 0 {
			return ErrReadAhead
		}
		if c.call(f) {
			return nil
		}
		c.waitReadable(noContext)
	}
}

// call runs f with the descriptor. mu is held, and released meanwhile.
func (c *PacketConn) call(f func(fd int) bool) (done bool) {
	c.uses++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.uses--
		c.finish()
	}()
	return f(int(c.fd))
}

// waitReadable waits where nothing is received ahead: for the end of the receive of before, or for a readable socket. It does not
// wait for what has ended already: whoever wakes the readers of a socket that is closed or broken, or of a context that ends, may
// have been here while the caller made his system call. mu is held, and released meanwhile.
func (c *PacketConn) waitReadable(ctx context.Context) {
	if c.closed || c.broken != nil || ended(ctx) != nil {
		return
	}
	w := packetWaiters.Get().(*executor.Waiter)
	w.PrepareNear(c.loop.w)
	c.readers = append(c.readers, w)
	if !c.recvOn {
		c.rawState().in.want = true
	}
	if c.readAt != 0 {
		c.arm(c.readAt)
	}
	c.mu.Unlock()
	c.kickRaw()
	w.Wait()
	c.giveBack(w)
	c.mu.Lock()
	c.waking = false
}

// WriteWith calls f with the descriptor, which is non-blocking, and again whenever the socket may be writable, until f
// reports that it is done. The errors are ErrClosed, os.ErrDeadlineExceeded (the write deadline) and an error of the socket
// that the engine was told before. Other writes may come in between.
func (c *PacketConn) WriteWith(f func(fd int) bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if err := c.sendable(); err != nil {
			return err
		}
		if c.call(f) {
			return nil
		}
		if c.closed {
			continue
		}
		w := new(executor.Waiter)
		w.PrepareNear(c.loop.w)
		r := c.rawState()
		r.out.want = true
		r.writers = append(r.writers, w)
		if c.writeAt != 0 {
			c.arm(c.writeAt)
		}
		c.mu.Unlock()
		c.kickRaw()
		w.Wait()
		c.mu.Lock()
	}
}

// kickRaw has the polls submitted, or wakes who waits for them where the worker has ended.
func (c *PacketConn) kickRaw() {
	if c.kick() {
		return
	}
	c.mu.Lock()
	if c.broken == nil {
		c.broken = ErrClosed
	}
	c.wakeReaders()
	c.wakeWriters()
	c.mu.Unlock()
}
