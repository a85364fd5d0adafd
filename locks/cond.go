package locks

import (
	"context"
	"sync"

	"github.com/ouro-io/ouro/internal/waitq"
)

// Cond is a condition variable: parties wait, with a lock let go, until another says that what they wait for may hold
// now. NewCond makes one. It must not be copied after use.
type Cond struct {
	// L is let go while waiting, and held whenever the condition is looked at or changed.
	L sync.Locker

	mu    sync.Mutex
	queue waitq.List[struct{}]
}

// NewCond makes a condition variable for l, usually a *Mutex of this package.
func NewCond(l sync.Locker) *Cond { return &Cond{L: l} }

// Wait unlocks L, waits for a Signal or Broadcast that comes after that, and locks L again. The condition need not hold
// then, as another party may have been faster: call it in a loop.
func (c *Cond) Wait() { _ = c.WaitContext(context.Background()) }

// WaitContext is Wait that gives up when ctx ends: it returns context.Cause(ctx) then, also with L locked. A Signal is
// not lost to a party that gives up. With a context that has ended it returns at once and does not unlock L.
func (c *Cond) WaitContext(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.mu.Lock()
	n := c.queue.Take()
	n.Waiter.Prepare()
	c.queue.PushBack(n)
	c.mu.Unlock()
	c.L.Unlock()
	err := c.queue.Await(ctx, &c.mu, n)
	c.queue.End(&c.mu, n, err)
	c.L.Lock()
	return err
}

// Signal wakes the party that has waited longest, if any waits. L need not be held.
func (c *Cond) Signal() {
	c.mu.Lock()
	n := c.queue.PopFront()
	if n != nil {
		c.queue.Retire(n)
	}
	c.mu.Unlock()
	if n != nil {
		n.Waiter.Wake()
	}
}

// Broadcast wakes all that wait. L need not be held.
func (c *Cond) Broadcast() {
	c.mu.Lock()
	var wake waitq.Chain[struct{}]
	for n := c.queue.PopFront(); n != nil; n = c.queue.PopFront() {
		c.queue.Retire(n)
		wake.Add(n)
	}
	c.mu.Unlock()
	wake.Wake()
}
