//go:build linux

package proactor

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// polls is what a Conn needs besides where callers make the system calls themselves: one poll for each side. The Conn's mu
// guards it; it is made at first use.
type polls struct {
	in, out poll
	dry     bool // the last direct receive left nothing; until in completes another would be for nothing
}

// ErrReadAhead is returned by ReadWith when the engine has received bytes that nobody has read yet.
var ErrReadAhead = errors.New("the engine has received bytes that were not read yet: Read them first, " +
	"or switch reading ahead off before any arrive (NoReadAhead)")

// NoReadAhead has the engine receive nothing on its own: from now on each Read makes the system call, and waits for the
// socket to become readable where it has to. For sockets where the kernel's own order or unread state matters:
// descriptors that come beside the bytes, messages with bounds, callers that read the descriptor themselves. What was
// received already is still read first. It cannot be switched back, and does nothing on a connection with a Handler.
func (c *Conn) NoReadAhead() {
	c.mu.Lock()
	if c.wait != nil {
		c.wait.passing = false
	}
	if c.direct || c.h != nil {
		c.mu.Unlock()
		return
	}
	c.direct = true
	c.notify() // who waits for the receive goes on by itself
	kick := c.recvOn
	c.mu.Unlock()
	if kick {
		c.kick()
	}
}

// pollState returns the polls, made at first use. mu is held.
func (c *Conn) pollState() *polls {
	if c.polls == nil {
		c.polls = &polls{in: newPoll(c.fd, unix.EPOLLIN|unix.EPOLLRDHUP, c), out: newPoll(c.fd, unix.EPOLLOUT, c)}
	}
	return c.polls
}

// reconcilePolls is reconcile's part here. mu is held, the worker owned.
func (c *Conn) reconcilePolls() {
	if p := c.polls; p != nil {
		// A backend that broke ends its connections, which wakes whoever waits.
		_ = p.in.reconcile(c.loop.backend, c.closed)
		_ = p.out.reconcile(c.loop.backend, c.closed)
	}
}

// onPoll takes a completion of a poll in. It reports false when o is none. mu is held, the worker owned.
func (c *Conn) onPoll(o *op.Op, r *op.Completion) bool {
	p := c.polls
	switch {
	case p == nil:
		return false
	case o == &p.in.op && p.in.on:
		if p.in.ended(r, c.closed) {
			p.dry = false
			if c.wait != nil && c.wait.reading {
				c.wait.read.Wake()
			}
		}
	case o == &p.out.op && p.out.on:
		if p.out.ended(r, c.closed) && c.wait != nil && c.wait.polling {
			c.wait.write.Wake()
		}
	default:
		return false
	}
	c.reconcilePolls()
	return true
}

// polled reports whether a poll is in flight.
func (c *Conn) polled() bool { return c.polls != nil && (c.polls.in.on || c.polls.out.on) }

// takeReadTurn waits until no other Read is under way, and takes the turn: reading is set then. mu is held.
func (c *Conn) takeReadTurn(ctx context.Context) error {
	for {
		w := c.waits()
		switch {
		case c.closed:
			return ErrClosed
		case c.passed(w.readAt):
			return os.ErrDeadlineExceeded
		case !w.reading:
			w.reading = true
			return nil
		}
		if err := ended(ctx); err != nil {
			return err
		}
		c.queue(&w.readers)
	}
}

// giveReadTurn ends the turn. mu is held.
func (c *Conn) giveReadTurn() {
	c.wait.reading, c.wait.receiving = false, false // the function given to ReadWith may have panicked
	c.wait.passRead()
	c.finish()
}

// awaitRead waits for a Wake of the reading side, or the read deadline; want says whether for a readable socket. The
// caller has the turn. mu is held.
func (c *Conn) awaitRead(ctx context.Context, want bool) error {
	w := c.wait
	w.unbroken, w.turnEnds = 0, 0
	if c.closed {
		return ErrClosed
	}
	if err := ended(ctx); err != nil {
		return err
	}
	if c.passed(w.readAt) {
		return os.ErrDeadlineExceeded
	}
	w.read.PrepareNear(c.loop.w)
	kick := c.recvOn
	if want {
		p := c.pollState()
		p.in.want = true
		kick = kick || !p.in.on
	}
	if w.readAt != 0 {
		w.arm(w.readAt)
	}
	c.mu.Unlock()
	if kick {
		c.kick()
	}
	w.read.Wait()
	c.mu.Lock()
	switch {
	case c.closed:
		return ErrClosed
	case c.passed(w.readAt):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// readDirect is Read where the engine does not read ahead; errAhead when it does again. ctx may be nil. mu is held on entry
// and on return.
func (c *Conn) readDirect(ctx context.Context, p []byte) (n int, err error) {
	c.shareTurn()
	if err := c.takeReadTurn(ctx); err != nil {
		if c.wait != nil && !c.wait.reading {
			c.wait.passRead()
		}
		return 0, err
	}
	for n == 0 && err == nil {
		switch {
		case !c.direct:
			err = errAhead
		case c.recvOn:
			err = c.awaitRead(ctx, false) // it ends the receive of before
		case c.inbox.len() > 0:
			for n < len(p) && c.inbox.len() > 0 {
				m, done, _ := c.takeFront(p[n:])
				n += m
				done.Release()
			}
		case c.rerr() != nil:
			err = c.readError()
		case c.halted:
			err = c.awaitRead(ctx, false)
		case c.pollState().dry:
			err = c.awaitRead(ctx, true)
		default:
			n, err = c.recvNow(p)
		}
	}
	if c.wait.passing && n > 0 {
		c.scored(n)
	}
	c.giveReadTurn()
	return n, err
}

// recvNow makes one receive. 0 and nil mean that there was nothing. mu is held, and released meanwhile.
func (c *Conn) recvNow(p []byte) (int, error) {
	n, errno := c.recvDirect(p)
	switch {
	case again(errno):
		c.polls.dry = true
		return 0, nil
	case errno != 0:
		return 0, callError("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	// Where it was less than asked for there is probably no more; and if there is, a poll finds it at once.
	c.polls.dry = n < len(p)
	c.wait.unbroken += n
	return n, nil
}

// ReadWith calls f with the descriptor, which is non-blocking, and again whenever the socket may be readable, until f
// reports that it is done; no Read runs meanwhile, and the engine receives nothing. It is what syscall.RawConn's Read
// is. The errors are ErrClosed, os.ErrDeadlineExceeded (the read deadline), ErrReadAhead, an error of the socket that
// the engine was told before, and none of f's. It must not be used on a connection with a Handler.
func (c *Conn) ReadWith(f func(fd int) bool) error { return c.readWith(f, false) }

// ReceiveWith is ReadWith for what is a Read to its user: while PauseRead lasts, it waits.
func (c *Conn) ReceiveWith(f func(fd int) bool) error { return c.readWith(f, true) }

func (c *Conn) readWith(f func(fd int) bool, pauses bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.takeReadTurn(noContext); err != nil {
		if c.wait != nil && !c.wait.reading {
			c.wait.passRead()
		}
		return err
	}
	defer c.giveReadTurn()
	// Who wants to read through the engine again arms the receive anew.
	c.wantRecv = false
	for c.recvOn {
		if err := c.awaitRead(noContext, false); err != nil {
			return err
		}
	}
	if c.inbox.len() > 0 {
		return ErrReadAhead
	}
	if _, failed := c.rerr().(*os.SyscallError); failed {
		return c.readError()
	}
	for {
		if pauses && c.halted {
			if err := c.awaitRead(noContext, false); err != nil {
				return err
			}
			continue
		}
		c.wait.receiving = true
		done := c.call(f)
		c.wait.receiving = false
		if done {
			if c.polls != nil {
				c.polls.dry = false
			}
			return nil
		}
		if err := c.awaitRead(noContext, true); err != nil {
			return err
		}
	}
}

// call runs f with the descriptor. mu is held, and released meanwhile.
func (c *Conn) call(f func(fd int) bool) (done bool) {
	c.uses++
	c.exposed = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.uses--
	}()
	return f(int(c.fd))
}

// WriteWith calls f with the descriptor, which is non-blocking, and again whenever the socket may be writable, until f
// reports that it is done; no Write runs meanwhile, and what Send has queued before is sent first. The errors are
// ErrClosed, os.ErrDeadlineExceeded (the write deadline) and an error of the socket that the engine was told before.
func (c *Conn) WriteWith(f func(fd int) bool) (err error) {
	c.mu.Lock()
	if err := c.takeTurn(noContext); err != nil {
		c.mu.Unlock()
		return err
	}
	c.beginWrite()
	want := 1 // it has not come to its end
	defer func() {
		c.mu.Unlock()
		_, _ = c.endWrite(want)
	}()
	for !c.call(f) {
		if err := c.awaitWritable(); err != nil {
			return err
		}
	}
	want = 0
	return nil
}

// awaitWritable waits until the socket is writable, or the write deadline. The caller has the turn. mu is held.
func (c *Conn) awaitWritable() error {
	w := c.waits()
	if c.closed {
		return ErrClosed
	}
	if c.passed(w.writeAt) {
		return os.ErrDeadlineExceeded
	}
	w.write.PrepareNear(c.loop.w)
	w.polling = true
	p := c.pollState()
	p.out.want = true
	if w.writeAt != 0 {
		w.arm(w.writeAt)
	}
	kick := !p.out.on
	c.mu.Unlock()
	if kick {
		c.kick()
	}
	w.write.Wait()
	c.mu.Lock()
	w.polling = false
	switch {
	case c.closed:
		return ErrClosed
	case c.passed(w.writeAt):
		return os.ErrDeadlineExceeded
	}
	return nil
}
