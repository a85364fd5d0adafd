package executor

import (
	"context"
	"math"
	"sync/atomic"
)

// Choice is one wait for the first of several events, of which exactly one is taken: what a select waits with.
//
// State: closed → open (Prepare) → claimed by event i (Claim(i) of exactly one party) → woken (that party's Wake), upon which
// Wait returns; claimed it stays until the next Prepare. The claim and the wake-up are two steps so that the winner can hand
// over what belongs to the event in between, and so that a loser leaves no trace: a Choice may be used again as soon as Wait
// has returned and all sources that it was given to were told Unsubscribe.
//
// One goroutine or coroutine owns a Choice and calls Prepare and Wait; Claim and Wake are for anybody. The zero value
// is ready for Prepare.
type Choice struct {
	waiter Waiter
	won    atomic.Int32 // 0 before the first Prepare, choiceOpen, else 2 + the index of the event
}

const (
	choiceClosed int32 = iota
	choiceOpen
	choiceFirst
)

// Prepare opens c for claims by the calling coroutine's or goroutine's next Wait.
func (c *Choice) Prepare() {
	c.waiter.Prepare()
	c.won.Store(choiceOpen)
}

// Claim takes c for event i, which must not be negative. Of all claims after a Prepare exactly one succeeds; who made
// it must call Wake once, and until then c is waiting for nobody else.
func (c *Choice) Claim(i int) bool {
	return c.won.Load() == choiceOpen && c.won.CompareAndSwap(choiceOpen, choiceFirst+int32(i))
}

// Open reports whether nobody has claimed c. The answer may be old when it arrives.
func (c *Choice) Open() bool { return c.won.Load() == choiceOpen }

// Wake ends the Wait. Only who claimed c may call it. The owner itself may: Claim, Wake and Wait on one goroutine take
// an event without waiting.
func (c *Choice) Wake() { c.waiter.Wake() }

// Wait returns the index of the event that claimed c, after its Wake.
func (c *Choice) Wait() int {
	c.waiter.Wait()
	return int(c.won.Load() - choiceFirst)
}

// WaitContext is Wait that gives up when ctx ends first: c is claimed by nobody else then, and it returns
// context.Cause(ctx).
func (c *Choice) WaitContext(ctx context.Context) (int, error) {
	if ctx.Done() == nil {
		return c.Wait(), nil
	}
	err := c.waiter.WaitContext(ctx, func() bool { return c.Claim(math.MaxInt32 - int(choiceFirst)) })
	if err != nil {
		return -1, err
	}
	return int(c.won.Load() - choiceFirst), nil
}

// Source is an event that a Choice can wait for: a future, a timer, the end of a context. It stays "happened" once it
// has happened, or until its only consumer takes what it brought.
//
// A select asks Ready first and subscribes only when it has to wait. It subscribes a Choice at most once per index,
// and calls Unsubscribe for each Subscribe, whoever won, before it uses the Choice again. An implementation is a list
// of (Choice, index) pairs under the mutex that also guards the event:
//
//	func (f *Future) Subscribe(c *Choice, i int) {
//		f.mu.Lock()
//		won := f.done && c.Claim(i)
//		if !f.done {
//			f.subs = append(f.subs, sub{c, i})
//		}
//		f.mu.Unlock()
//		if won {
//			c.Wake()
//		}
//	}
//
// and when it happens, for each pair: Claim under the mutex, Wake after it.
type Source interface {
	// Ready reports whether the event has happened. It is short and does not suspend. Any goroutine.
	Ready() bool
	// Subscribe asks for one c.Claim(i), and c.Wake() if that succeeded, when the event happens or when it has
	// happened already. It does not suspend.
	Subscribe(c *Choice, i int)
	// Unsubscribe takes Subscribe back. Once it has returned the source does not claim c for i any more. It is
	// called also when the event has happened, and does not suspend.
	Unsubscribe(c *Choice, i int)
}
