package executor

import (
	"context"
	"errors"
	"runtime/debug"
)

// Wait waits until all children have ended, closes what the scope owns in reverse order, and returns the first error of
// a child (with KeepGoing: all), or else why the scope was cancelled, joined with the errors of closing. What a child
// returned only because the scope was cancelled does not count. Several may wait; all get the same answer.
func (s *Scope) Wait() error {
	first := false
	s.waitFor(func() bool {
		if s.phase == scopeOpen && (s.running == 0 || s.graceOver) {
			s.phase, first = scopeClosing, true
		}
		return s.phase != scopeOpen
	})
	if !first {
		s.waitFor(func() bool { return s.phase == scopeEnded })
		return s.result
	}
	s.finish()
	return s.result
}

// finish closes everything, waits for the children that are left, and ends the scope. A closer that calls runtime.Goexit
// ends the goroutine or coroutine that is in Wait, but not before the rest was done: others may wait for the end too.
func (s *Scope) finish() {
	calling := false
	defer func() {
		if calling { // Goexit: panics are contained
			s.closing = append(s.closing, ErrGoexit)
			s.finish()
		}
	}()
	for i := len(s.closers) - 1; i >= 0; i-- {
		f := s.closers[i]
		s.closers = s.closers[:i]
		calling = true
		err := s.runCloser(f)
		calling = false
		s.closing = append(s.closing, err)
	}
	s.closers = nil
	s.waitFor(func() bool { return s.running == 0 })
	s.end(errors.Join(s.closing...))
}

// waitFor waits until cond, which is asked under mu, holds.
func (s *Scope) waitFor(cond func() bool) {
	w := new(Waiter)
	for {
		s.mu.Lock()
		if cond() {
			s.mu.Unlock()
			return
		}
		w.Prepare()
		s.waiting = append(s.waiting, w)
		s.mu.Unlock()
		w.Wait()
	}
}

func (s *Scope) runCloser(f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(s.ctx))
	defer cancel(nil)
	if s.config.Grace > 0 {
		a := s.after(s.config.Grace, func() { cancel(context.DeadlineExceeded) })
		defer a.Stop()
	} else {
		cancel(context.DeadlineExceeded)
	}
	return contained(func() error { return f(ctx) })
}

func (s *Scope) end(closing error) {
	s.mu.Lock()
	err := errors.Join(s.failed...)
	if len(s.failed) == 1 {
		err = s.failed[0]
	}
	if err == nil && s.ctx.Err() != nil {
		err = s.why()
	}
	if closing != nil {
		err = errors.Join(err, closing)
	}
	s.phase, s.result = scopeEnded, err
	wake := s.takeWaiting(true)
	grace := s.grace
	s.mu.Unlock()
	for _, a := range []*Alarm{s.timer, grace} {
		if a != nil {
			a.Stop()
		}
	}
	s.unhook()
	s.cancel(ErrScopeEnded)
	wakeAll(wake)
}

// why tells why the scope was cancelled, nil for Cancel(nil).
func (s *Scope) why() error {
	cause := context.Cause(s.ctx)
	if cause == context.Canceled && s.parent.Err() == nil {
		return nil
	}
	return cause
}

// contained calls f and makes a panic an error.
func contained(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return f()
}
