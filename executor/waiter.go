package executor

import "sync/atomic"

// Waiter is the one way to wait: on a coroutine it suspends that, on an ordinary goroutine it parks that. Whoever
// waits embeds it and uses it again and again; one goroutine or coroutine at a time:
//
//	w.Prepare()
//	publish w where the other side will find it
//	if the condition holds already && w.Disarm() { withdraw it; return }
//	w.Wait()
//
// States: idle → armed (Prepare) → fired (Wake), by way of asleep or parked when the wait comes first. Who moves it to
// fired owns the wake-up: a Wake that finds it armed has nothing else to do, one that finds it asleep puts the
// coroutine into its home worker's queue, one that finds it parked unparks the goroutine. armed → asleep is done by the
// runner, once the coroutine has switched away: before that nobody may resume it.
//
// A Wake that comes late, from a party that was told of an earlier Prepare, counts for the present one. So a waiter
// with several wakers checks its condition after Wait and waits again.
type Waiter struct {
	state atomic.Uint32
	co    *Coroutine    // nil: the waiting party is a goroutine
	near  *Worker       // where a Wake probably comes from
	ch    chan struct{} // for a goroutine; made at the first park
}

const (
	waiterIdle uint32 = iota
	waiterArmed
	waiterAsleep // a coroutine
	waiterParked // a goroutine
	waiterFired
)

// Prepare arms w for the calling coroutine or goroutine.
func (w *Waiter) Prepare() {
	var near *Worker
	if w.co != nil {
		near = w.co.home // of the wait before: probably this one's too
	}
	w.PrepareOn(currentNear(near))
}

// PrepareNear is Prepare for a caller that is probably on a coroutine of near, and that near will probably wake. It
// saves a search of the workers.
func (w *Waiter) PrepareNear(near *Worker) {
	w.PrepareOn(currentNear(near))
	w.near = near
}

// PrepareOn is Prepare for a caller that knows that it runs on co: what Current returned, nil on a goroutine.
func (w *Waiter) PrepareOn(co *Coroutine) {
	if s := w.state.Load(); s != waiterIdle && s != waiterFired {
		panic("executor: Waiter.Prepare while it is in use")
	}
	w.co = co
	w.state.Store(waiterArmed)
}

// Disarm takes back a Prepare. It reports false when a Wake came first: that Wake counts, and need not be waited for.
// Only the party that prepared may call it.
func (w *Waiter) Disarm() bool { return w.state.CompareAndSwap(waiterArmed, waiterIdle) }

// Wake ends the wait that was prepared, also when Wait comes later. It reports whether it did: of all Wakes exactly one
// per Prepare does. Any goroutine.
func (w *Waiter) Wake() bool {
	for {
		s := w.state.Load()
		switch s {
		case waiterArmed, waiterAsleep, waiterParked:
		default:
			return false
		}
		if !w.state.CompareAndSwap(s, waiterFired) {
			continue
		}
		// The waiting party can do nothing until it is told, so its fields may be read.
		switch s {
		case waiterAsleep:
			co := w.co
			co.home.enqueue(&co.task)
		case waiterParked:
			w.unpark()
		}
		return true
	}
}

// Wait returns once w is woken. It must follow Prepare, on the same coroutine or goroutine, outside any section.
func (w *Waiter) Wait() {
	switch w.state.Load() {
	case waiterFired:
		return
	case waiterArmed:
	default:
		panic("executor: Waiter.Wait without Prepare")
	}
	if co := w.co; co != nil && !co.demoted.Load() {
		// This is suspend(w), without a frame of its own: after a switch the processor predicts no return right.
		co.mayYield()
		co.waiter = w
		co.stack.yield(struct{}{})
		return
	}
	w.parkHere()
}

// Fired reports whether a Wake has come since Prepare. Only the party that prepared may ask.
func (w *Waiter) Fired() bool { return w.state.Load() == waiterFired }

// mayPark panics where parking would stop the worker, and makes what parking needs.
func (w *Waiter) mayPark() {
	if r := currentRunner(w.near); r != nil && r.state.Load()&stateMask == stateLoop {
		panic("executor: Waiter.Wait in a completion, command or timer handler: it would wait for itself")
	}
	if w.ch == nil {
		w.ch = make(chan struct{}, 1)
	}
}

func (w *Waiter) parkHere() {
	w.mayPark()
	if w.state.CompareAndSwap(waiterArmed, waiterParked) {
		<-w.ch
	}
}

// unpark hands the token to the parked goroutine.
func (w *Waiter) unpark() {
	near := w.near
	w.ch <- struct{}{} // never blocks: one token per park
	// w is the other's from here on.
	var r *runner
	if near != nil {
		if r = near.runner.Load(); !r.actedBy(getg()) {
			return
		}
	} else if r = currentRunner(nil); r == nil {
		return
	}
	r.woke++
}
