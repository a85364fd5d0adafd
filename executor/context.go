package executor

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// WaitContext is Wait that gives up when ctx ends. It then calls withdraw, which must take w out of where others find
// it, in the same critical section in which they would claim it, and report whether it was still there:
//
//   - true: nobody else will Wake w. WaitContext returns context.Cause(ctx).
//   - false: somebody has claimed w, and his Wake is waited for. WaitContext returns nil, and nothing is lost.
//
// withdraw may run on another goroutine, but not after WaitContext has returned. It must not suspend. With a context
// that cannot end nothing is allocated; nor on a goroutine.
func (w *Waiter) WaitContext(ctx context.Context, withdraw func() bool) error {
	done := ctx.Done()
	if done == nil || w.Fired() {
		w.Wait()
		return nil
	}
	if w.state.Load() == waiterIdle {
		panic("executor: Waiter.WaitContext without Prepare")
	}
	if w.co == nil || w.co.demoted.Load() {
		return w.parkContext(ctx, done, withdraw)
	}
	g := &guard{w: w, withdraw: withdraw}
	stop := context.AfterFunc(ctx, g.fire)
	w.Wait()
	if !stop() {
		g.settle()
	}
	if g.gaveUp {
		return context.Cause(ctx)
	}
	return nil
}

func (w *Waiter) parkContext(ctx context.Context, done <-chan struct{}, withdraw func() bool) error {
	w.mayPark()
	if !w.state.CompareAndSwap(waiterArmed, waiterParked) {
		return nil
	}
	select {
	case <-w.ch:
		return nil
	case <-done:
	}
	if withdraw() && w.state.CompareAndSwap(waiterParked, waiterIdle) {
		return context.Cause(ctx)
	}
	<-w.ch
	return nil
}

// guard ends one wait of a coroutine when a context ends. Its state says who has it: pending → firing → fired, by the
// context's goroutine, or pending → settled by the waiting coroutine, which may go on only when the other will not
// touch the Waiter any more.
type guard struct {
	w        *Waiter
	withdraw func() bool
	gaveUp   bool // published by Wake
	state    atomic.Uint32
}

const (
	guardPending uint32 = iota
	guardFiring
	guardOver
)

func (g *guard) fire() {
	if !g.state.CompareAndSwap(guardPending, guardFiring) {
		return
	}
	if g.withdraw() {
		g.gaveUp = true
		g.w.Wake()
	}
	g.state.Store(guardOver)
}

func (g *guard) settle() {
	if g.state.CompareAndSwap(guardPending, guardOver) {
		return
	}
	for g.state.Load() != guardOver { // between a claim and the end of fire: a few instructions
		runtime.Gosched()
	}
}

// SleepContext is Sleep that ends early, with context.Cause(ctx), when ctx ends.
func SleepContext(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if ctx.Done() == nil {
		Sleep(d)
		return nil
	}
	a := After(d)
	err := a.Wait(ctx)
	a.Stop()
	return err
}
