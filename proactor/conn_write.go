//go:build linux

package proactor

import (
	"context"
	"os"

	"github.com/ouro-io/ouro/executor"
)

// Write sends all of p, and waits until the kernel has taken it. It returns how much was sent, and with less than len(p)
// why: ErrClosed, os.ErrDeadlineExceeded, or the error of the system call. Writes are atomic among each other.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if err := c.takeTurn(noContext); err != nil {
		c.mu.Unlock()
		return 0, err
	}
	return c.writeTurn(p)
}

// writeTurn is Write by who has the turn. mu is held on entry and not on return.
func (c *Conn) writeTurn(p []byte) (int, error) {
	c.beginWrite()
	if len(p) == 0 {
		return 0, c.writeNothing()
	}
	if !c.loop.batches || !c.writeBatched(p) {
		c.writeDirect(p)
	}
	return c.endWrite(len(p))
}

// writeBatched leaves p to the turn's next system call, and waits. It reports false, and has done nothing, when there is
// no turn to share: on other goroutines, and when nobody else is ready, where a system call of its own costs no more
// and needs no wait. mu is held on entry, and on return if it was refused.
func (c *Conn) writeBatched(p []byte) bool {
	s, ok := c.loop.w.Enter()
	if !ok {
		return false
	}
	if c.loop.w.Alone() {
		s.Leave()
		return false
	}
	c.out.bytes = p
	w := c.armWrite()
	c.startSend()
	c.mu.Unlock()
	s.Leave()
	w.Wait()
	return true
}

// takeTurn waits until no other Write and nothing from Send is under way. mu is held.
func (c *Conn) takeTurn(ctx context.Context) error {
	err := c.awaitWriteTurn(ctx)
	if err != nil && c.wait != nil {
		c.wait.passTurn()
	}
	return err
}

func (c *Conn) awaitWriteTurn(ctx context.Context) error {
	for {
		if c.closed {
			return ErrClosed
		}
		if w := c.wait; w != nil && c.passed(w.writeAt) {
			return os.ErrDeadlineExceeded
		}
		if c.werr() != nil && !(c.writing && c.tooLong()) { // which is of the Write under way
			return c.writeError()
		}
		if !c.writing && len(c.outBytes()) == 0 {
			return nil
		}
		if err := ended(ctx); err != nil {
			return err
		}
		w := c.waits()
		if w.writeAt != 0 {
			w.arm(w.writeAt)
		}
		c.queue(&w.writers)
	}
}

// armWrite makes ready to wait for sendDone.
func (c *Conn) armWrite() *executor.Waiter {
	w := c.waits()
	w.write.PrepareNear(c.loop.w)
	w.writeWaits = true
	if w.writeAt != 0 {
		w.arm(w.writeAt)
	}
	return &w.write
}

// writeDirect tries the system call at once, and leaves to the backend what the socket does not take. Until then out
// stays empty, lest a reconcile for another reason has the backend send the same. mu is held on entry and not on
// return.
func (c *Conn) writeDirect(p []byte) {
	c.uses++
	c.mu.Unlock()
	n, errno := c.loop.engine.system.Send(int(c.fd), p)
	c.mu.Lock()
	c.uses--
	c.out.sent, c.out.bytes = n, p[n:]
	if errno != 0 && !again(errno) {
		c.setWerr(callError("write", errno))
	}
	if len(c.out.bytes) == 0 || c.werr() != nil || c.closed {
		c.mu.Unlock()
		return
	}
	w := c.armWrite()
	c.mu.Unlock()
	c.kick()
	w.Wait()
}

// writeNothing makes the system call all the same: it tells of errors, and on a socket with messages sends an empty one.
// mu is held on entry and not on return.
func (c *Conn) writeNothing() error {
	c.uses++
	c.mu.Unlock()
	_, errno := c.loop.engine.system.Send(int(c.fd), nil)
	c.mu.Lock()
	c.uses--
	var err error
	if errno != 0 && !again(errno) {
		c.setWerr(callError("write", errno))
		err = c.writeError()
	}
	c.mu.Unlock()
	_, _ = c.endWrite(0)
	return err
}

// endWrite gives the turn back and says what became of the Write.
func (c *Conn) endWrite(want int) (int, error) {
	c.mu.Lock()
	o := c.out
	n := o.sent
	var err error
	if n < want {
		switch {
		case c.closed:
			err = ErrClosed
		case c.werr() != nil:
			err = c.writeError()
		default:
			err = os.ErrDeadlineExceeded
		}
	}
	o.bytes, o.sent, o.cancel = nil, 0, false
	c.writing = false
	if w := c.wait; w != nil {
		w.writeWaits, w.turn = false, nil
	}
	if n < want && c.closed && o.queue.len() > 0 {
		// What Send has queued behind the Write must not follow its stump; the reset tells the peer.
		o.drop()
		c.discarded = true
	}
	next := o.queue.len() > 0 && c.werr() == nil
	if next {
		o.next()
	} else {
		c.restOut()
		if c.wait != nil {
			c.wait.passTurn()
		}
	}
	c.finish()
	c.mu.Unlock()
	if next {
		c.kick()
	}
	return n, err
}

// passTurn lets the next Write try. mu is held.
func (w *waits) passTurn() {
	if len(w.writers) > 0 {
		w.writers[0].Wake()
		w.writers = w.writers[1:]
	}
}
