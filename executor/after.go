package executor

import (
	"context"
	"sync"
	"time"
)

// Alarm is an event that happens at a time. It is a Source, so that a select can wait for it. All methods are safe from
// any goroutine.
type Alarm struct {
	timer Timer       // of the worker that it was made on
	std   *time.Timer // on goroutines, which have no worker

	mu   sync.Mutex
	over bool
	subs []subscription
	call func() // in loop state, or on a goroutine of its own
}

// subscription is a Choice that waits, and for which of its events.
type subscription struct {
	c *Choice
	i int
}

// After returns an alarm that goes off d from now: by the executor's clock, in the timer heap of the worker, if the
// caller is on a coroutine; by the runtime's on a goroutine. One that is not needed any more should be stopped.
func After(d time.Duration) *Alarm {
	a := new(Alarm)
	if co := Current(); co != nil {
		a.on(co.home, d)
		return a
	}
	a.std = time.AfterFunc(d, a.ring)
	return a
}

// After is the function After by the timers of w, from any goroutine.
func (w *Worker) After(d time.Duration) *Alarm {
	a := new(Alarm)
	a.on(w, d)
	return a
}

func (a *Alarm) on(w *Worker, d time.Duration) {
	a.timer.Init(w, a)
	a.timer.Set(later(w.e.clock.Now(), max(d, 0)))
}

// OnTimer is for the executor.
func (a *Alarm) OnTimer(*Worker, *Timer) { a.ring() }

func (a *Alarm) ring() {
	a.mu.Lock()
	a.over = true
	won := a.subs[:0]
	for _, s := range a.subs {
		if s.c.Claim(s.i) {
			won = append(won, s)
		}
	}
	a.subs = nil
	call := a.call
	a.mu.Unlock()
	for _, s := range won {
		s.c.Wake()
	}
	if call != nil {
		call()
	}
}

// Stop prevents the alarm from going off, and reports whether it did. Who waits for a stopped alarm waits for ever.
func (a *Alarm) Stop() bool {
	if a.std != nil {
		return a.std.Stop()
	}
	return a.timer.Stop()
}

// Wait returns when the alarm goes off, or with context.Cause(ctx) when ctx ends first.
func (a *Alarm) Wait(ctx context.Context) error {
	if a.Ready() {
		return nil
	}
	c := new(Choice)
	c.Prepare()
	a.Subscribe(c, 0)
	_, err := c.WaitContext(ctx)
	a.Unsubscribe(c, 0)
	return err
}

// Ready reports whether the alarm has gone off.
func (a *Alarm) Ready() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.over
}

// Subscribe is Source's.
func (a *Alarm) Subscribe(c *Choice, i int) {
	a.mu.Lock()
	over := a.over
	if !over {
		a.subs = append(a.subs, subscription{c, i})
	}
	a.mu.Unlock()
	if over && c.Claim(i) {
		c.Wake()
	}
}

// Unsubscribe is Source's.
func (a *Alarm) Unsubscribe(c *Choice, i int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for k, s := range a.subs {
		if s.c == c && s.i == i {
			a.subs = append(a.subs[:k], a.subs[k+1:]...)
			return
		}
	}
}
