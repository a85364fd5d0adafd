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
	closing := s.closeAll()
	s.waitFor(func() bool { return s.running == 0 })
	s.end(closing)
	return s.result
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

// closeAll runs what was given to Own and Defer. From scopeClosing on nothing is added.
func (s *Scope) closeAll() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.runCloser(s.closers[i]))
	}
	s.closers = nil
	return errors.Join(errs...)
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
