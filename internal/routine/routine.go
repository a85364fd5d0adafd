package routine

import (
	"context"
	"math"
	"runtime/debug"
	"time"

	"github.com/ouro-io/ouro/executor"
)

// Go runs fn: as a coroutine of the caller's worker when the caller is a coroutine, and on a goroutine otherwise. Errors
// are those of executor.Worker.Go; fn does not run then.
func Go(fn func()) error {
	if co := executor.Current(); co != nil {
		return co.Home().Go(fn)
	}
	go fn()
	return nil
}

// Catch calls fn, and returns how it ended when that was a panic: an *executor.PanicError. When fn calls
// runtime.Goexit, Catch calls exited and lets the goroutine end.
func Catch(fn func() error, exited func(error)) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			err = &executor.PanicError{Value: p, Stack: debug.Stack()}
			return
		}
		exited(executor.ErrGoexit)
	}()
	err = fn()
	returned = true
	return err
}

// Alarm calls a function at a time. Its owner embeds it; Init comes first.
//
// On a coroutine it is a timer of the worker, and the function is called in loop state; elsewhere it is the runtime's
// timer. So the function must be short and must neither block nor suspend. Waiter.Wake and Worker.Ready may be called.
type Alarm struct {
	ring func()
	w    *executor.Worker
	own  executor.Timer
	std  *time.Timer
}

// Init binds a to the worker of the calling coroutine, if there is one, and to the function.
func (a *Alarm) Init(ring func()) {
	a.ring = ring
	if co := executor.Current(); co != nil {
		a.w = co.Home()
		a.own.Init(a.w, a)
	}
}

// Worker is the worker whose timer a is, nil if it is the runtime's.
func (a *Alarm) Worker() *executor.Worker { return a.w }

// OnTimer is called by the worker.
func (a *Alarm) OnTimer(*executor.Worker, *executor.Timer) { a.ring() }

// Later is d after now, for a timer of a worker; a d that leads beyond all times must not wrap around to one that has passed.
func Later(now int64, d time.Duration) int64 {
	return now + min(int64(d), math.MaxInt64-1-now)
}

// Set makes a ring once, after d, instead of when it was set to ring before. Calls must not overlap with each other.
func (a *Alarm) Set(d time.Duration) {
	switch {
	case a.w != nil:
		// Not Worker.Now, which is as old as the turn: a would ring early after a long computation.
		a.own.Set(Later(a.w.Executor().Clock().Now(), max(d, 0)))
	case a.std == nil:
		a.std = time.AfterFunc(d, a.ring)
	default:
		a.std.Reset(d)
	}
}

// Stop prevents a from ringing. It reports false when a was not set or rings already; its function may be running then.
func (a *Alarm) Stop() bool {
	if a.w != nil {
		return a.own.Stop()
	}
	return a.std != nil && a.std.Stop()
}

// Sleep waits for d, or until ctx ends, and then returns ctx's cause. On a coroutine it suspends.
func Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	if ctx.Done() == nil {
		executor.Sleep(d)
		return nil
	}
	var s struct {
		waiter executor.Waiter
		alarm  Alarm
	}
	wake := func() { s.waiter.Wake() }
	s.alarm.Init(wake)
	s.waiter.Prepare()
	s.alarm.Set(d)
	stop := context.AfterFunc(ctx, wake)
	s.waiter.Wait()
	s.alarm.Stop()
	stop()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
