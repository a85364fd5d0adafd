package future

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/routine"
)

// TimeoutError is how a Timeout ends. errors.Is finds in it context.DeadlineExceeded and os.ErrDeadlineExceeded.
type TimeoutError struct {
	// After is the time that was allowed.
	After time.Duration
}

func (e *TimeoutError) Error() string { return fmt.Sprintf("no result within %v", e.After) }

// Timeout is true.
func (e *TimeoutError) Timeout() bool { return true }

// Is reports whether target is one of the standard library's errors of this meaning.
func (e *TimeoutError) Is(target error) bool {
	return target == context.DeadlineExceeded || target == os.ErrDeadlineExceeded
}

// Timeout returns a future with f's result, or, when f has not settled within d, with a *TimeoutError, which is also
// what f is cancelled with. f then ends on its own.
func (f *Future[T]) Timeout(d time.Duration) *Future[T] {
	s := &timed[T]{after: d}
	s.link.on = s
	s.bell.init(s.due)
	follow(f, &s.Future, &s.link, s)
	if !s.settled.Load() {
		s.bell.set(d)
		s.armed.Store(true)
		if s.settled.Load() { // by f, which may have looked at armed before
			s.bell.stop()
		}
	}
	return &s.Future
}

type timed[T any] struct {
	Future[T]
	step[T]
	bell  bell
	armed atomic.Bool // the bell is set, and may be stopped
	after time.Duration
}

func (s *timed[T]) sourceSettled() (first, last *link) {
	first, last, _ = s.finish(s.src.value, s.src.err)
	if s.armed.Load() {
		s.bell.stop()
	}
	return first, last
}

func (s *timed[T]) due() {
	err := &TimeoutError{s.after}
	var none T
	first, _, ok := s.finish(none, err)
	defer run(first) // also when a hook of the user's panics
	if ok {
		s.src.unlisten(&s.link) // it need not end
		s.src.Cancel(err)
	}
}

// Delay returns a future that has the value v after d. Cancelled before, it settles with the cause at once.
func Delay[T any](d time.Duration, v T) *Future[T] {
	s := &delayed[T]{v: v}
	s.up = s
	s.bell.init(s.due)
	s.bell.set(d)
	return &s.Future
}

type delayed[T any] struct {
	Future[T]
	bell bell
	v    T
}

func (s *delayed[T]) due() { s.settle(s.v, nil) }

func (s *delayed[T]) cancel(cause error) {
	s.bell.stop()
	var none T
	s.settle(none, cause)
}

// bell calls a function at a time, where user code may run: on a worker in a task of its own, since a timer's handler
// must not block, and elsewhere on the goroutine of the runtime's timer.
type bell struct {
	alarm routine.Alarm
	task  executor.Task
	due   func()
}

func (b *bell) init(due func()) {
	b.due = due
	b.alarm.Init(b.ring)
	b.task.Init(b, executor.Normal)
}

func (b *bell) ring() {
	if w := b.alarm.Worker(); w != nil {
		w.Ready(&b.task)
		return
	}
	b.due()
}

func (b *bell) set(d time.Duration) { b.alarm.Set(d) }
func (b *bell) stop()               { b.alarm.Stop() }

// RunTask is called by the worker.
func (b *bell) RunTask(*executor.Worker, *executor.Task) { b.due() }

// RetryConfig says how Retry goes on after an error. The zero value works.
type RetryConfig struct {
	// Attempts is how many times the function is called at most; 0 means 3, and it must not be negative.
	Attempts int
	// Min and Max bound the pause between attempts: the first is Min (0 means 10 ms), each further one Factor (0 means 2;
	// at least 1) times as long, up to Max (0 means 100 times Min; not below Min).
	Min, Max time.Duration
	Factor   float64
	// NoJitter makes the pauses exact. Without it each is random between nothing and its length, so that clients that
	// failed together do not come back together.
	NoJitter bool
	// Again decides whether an error is worth another attempt; nil means any that the end of the context did not cause.
	Again func(error) bool
}

func (c *RetryConfig) fill() error {
	if c.Attempts == 0 {
		c.Attempts = 3
	}
	if c.Min == 0 {
		c.Min = 10 * time.Millisecond
	}
	if c.Max == 0 {
		c.Max = 100 * max(c.Min, 0)
	}
	if c.Factor == 0 {
		c.Factor = 2
	}
	switch {
	case c.Attempts < 0:
		return fmt.Errorf("future: RetryConfig.Attempts is %d, and must be at least 1 (or 0 for the default)", c.Attempts)
	case c.Min < 0 || c.Max < c.Min:
		return fmt.Errorf("future: RetryConfig.Min is %v and Max %v: they must not be negative, and Max not below Min", c.Min, c.Max)
	case !(c.Factor >= 1) || math.IsInf(c.Factor, 0):
		return fmt.Errorf("future: RetryConfig.Factor is %v, and must be at least 1", c.Factor)
	}
	return nil
}

// pause is the time to wait after the attempt'th failure, counted from 1.
func (c *RetryConfig) pause(attempt int) time.Duration {
	d := min(float64(c.Min)*math.Pow(c.Factor, float64(attempt-1)), float64(c.Max))
	if !c.NoJitter {
		d *= rand.Float64()
	}
	return time.Duration(d)
}

// RetryError is how a Retry ends whose attempts all failed. errors.Is and errors.As look into each of them.
type RetryError struct {
	// Errors has one for each attempt, oldest first.
	Errors []error
}

func (e *RetryError) Error() string {
	return fmt.Sprintf("failed %d times, at last: %v", len(e.Errors), e.Errors[len(e.Errors)-1])
}

// Unwrap returns the errors, newest first.
func (e *RetryError) Unwrap() []error {
	out := make([]error, 0, len(e.Errors))
	for i := len(e.Errors) - 1; i >= 0; i-- {
		out = append(out, e.Errors[i])
	}
	return out
}

// Retry is Go for a function that is called again when it fails, with growing pauses. It gives up with a *RetryError
// after the last attempt, when Again says so, or when ctx ends or Cancel is called, which also ends a pause.
func Retry[T any](ctx context.Context, c RetryConfig, fn func(ctx context.Context) (T, error)) *Future[T] {
	if err := c.fill(); err != nil {
		return Rejected[T](err)
	}
	if fn == nil {
		panic("future: Retry without a function")
	}
	return Go(ctx, func(ctx context.Context) (T, error) {
		var errs []error
		for {
			var v T
			err := routine.Catch(func() (err error) {
				v, err = fn(ctx)
				return err
			}, func(error) {})
			if err == nil {
				return v, nil
			}
			errs = append(errs, err)
			var none T
			if len(errs) == c.Attempts || !c.again(ctx, err) {
				return none, &RetryError{errs}
			}
			if end := routine.Sleep(ctx, c.pause(len(errs))); end != nil {
				return none, &RetryError{append(errs, end)}
			}
		}
	})
}

func (c *RetryConfig) again(ctx context.Context, err error) bool {
	if c.Again != nil {
		return ctx.Err() == nil && c.Again(err)
	}
	return ctx.Err() == nil && !errors.Is(err, context.Canceled)
}
