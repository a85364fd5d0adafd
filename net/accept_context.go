//go:build linux

package net

import (
	"context"
	"errors"
	"os"
	"time"
)

// An Accept of the standard library can be ended by a deadline only, and the deadline is the listener's: it ends all
// Accepts, of which one at a time is inside the poller while the others stand behind its lock. So the end of a context
// sets a deadline that is past (cancelled counts them), and each Accept that finds itself ended looks whether it is meant:
// its own context, or the user's deadline. If neither, it waits until it is calm, so that the one that is meant gets its
// turn at the lock, and goes on. The last one meant sets the user's deadline again.

// noContext is what an Accept without a context has: a nil one.
var noContext context.Context

// pastDeadline is over.
var pastDeadline = time.Unix(1, 0)

// acceptStd is std's Accept, ended by ctx as well if there is one.
func (l *socketListener) acceptStd(ctx context.Context) (Conn, error) {
	if ctx == nil || ctx.Done() == nil {
		return l.acceptCalmly(noContext)
	}
	if err := ctx.Err(); err != nil {
		return nil, l.opError("accept", err)
	}
	meant, left := false, false // under mu: this Accept is one of cancelled; it has left
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if left {
			return
		}
		meant = true
		if l.cancelled++; l.cancelled == 1 {
			l.calm = make(chan struct{})
			_ = l.std.SetDeadline(pastDeadline)
		}
	})
	defer stop()
	c, err := l.acceptCalmly(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	left = true
	if meant {
		if l.cancelled--; l.cancelled == 0 {
			close(l.calm)
			_ = l.std.SetDeadline(l.deadline)
		}
	}
	return c, err
}

// acceptCalmly is std's Accept that goes on when it was ended for another's context. ctx may be nil.
func (l *socketListener) acceptCalmly(ctx context.Context) (Conn, error) {
	var done <-chan struct{}
	if ctx != nil {
		done = ctx.Done()
	}
	for {
		c, err := l.std.Accept()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return c, err
		}
		if ctx != nil && ctx.Err() != nil {
			return nil, l.opError("accept", ctx.Err())
		}
		l.mu.Lock()
		calm, cancelled := l.calm, l.cancelled > 0
		over := !l.deadline.IsZero() && !time.Now().Before(l.deadline)
		l.mu.Unlock()
		switch {
		case over:
			return nil, err
		case cancelled:
			select {
			case <-calm:
			case <-done: // now it is meant itself
				return nil, l.opError("accept", ctx.Err())
			}
		}
		// Otherwise it is calm already, or the user has moved the deadline meanwhile.
	}
}
