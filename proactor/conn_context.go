//go:build linux

package proactor

import (
	"context"
	"os"
)

// Reads and writes that end with a context besides the deadlines. The end of a context is one more reason to wake whoever
// waits; who finds that its context has ended leaves. A Write's bytes are the backend's, so there the end asks for the
// end of the send, like a deadline, and only while the turn is still that Write's (waits.turn).

// ReadContext is Read that ends with ctx too, and then returns ctx.Err(): at once where it has ended already. What has arrived
// when it ends while the Read waits is read first.
func (c *Conn) ReadContext(ctx context.Context, p []byte) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if ctx.Done() == nil {
		return c.Read(p)
	}
	if len(p) == 0 {
		return 0, c.check()
	}
	defer context.AfterFunc(ctx, c.wakeReaders)()
	c.mu.Lock()
	return c.read(ctx, p)
}

// wakeReaders has whoever reads look at its context.
func (c *Conn) wakeReaders() {
	c.mu.Lock()
	if w := c.wait; w != nil {
		if w.reading {
			w.read.Wake()
		}
		for _, q := range w.readers {
			q.Wake()
		}
		w.readers = nil
	}
	c.mu.Unlock()
}

// noContext is what operations without a context have: a nil one, which is never asked for anything.
var noContext context.Context

// ended is ctx's error, where there is a context.
func ended(ctx context.Context) error {
	if ctx == nil {
		return nil
	}
	return ctx.Err()
}

// WriteContext is Write that ends with ctx too, and then returns how much was sent, and ctx.Err().
func (c *Conn) WriteContext(ctx context.Context, p []byte) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if ctx.Done() == nil {
		return c.Write(p)
	}
	turn := new(bool) // not an empty struct, whose addresses may be equal
	defer context.AfterFunc(ctx, func() { c.endTurn(turn) })()
	c.mu.Lock()
	if err := c.takeTurn(ctx); err != nil {
		c.mu.Unlock()
		return 0, err
	}
	if err := ctx.Err(); err != nil { // endTurn may have come before
		c.waits().passTurn()
		c.mu.Unlock()
		return 0, err
	}
	c.waits().turn = turn
	n, err := c.writeTurn(p)
	if n < len(p) && err == os.ErrDeadlineExceeded && ctx.Err() != nil {
		err = ctx.Err()
	}
	return n, err
}

// endTurn cuts the Write short that turn stands for, or has it look at its context when it waits for its turn.
func (c *Conn) endTurn(turn *bool) {
	c.mu.Lock()
	w := c.wait
	kick := false
	switch {
	case w == nil:
	case w.turn == turn:
		if c.out != nil {
			c.out.cancel, kick = true, true
		}
	default:
		for _, q := range w.writers {
			q.Wake()
		}
		w.writers = nil
	}
	c.mu.Unlock()
	if kick {
		c.kick()
	}
}
