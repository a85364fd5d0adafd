package locks

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ouro-io/ouro/internal/waitq"
)

// WaitGroup waits until a count comes back to 0. The zero value has count 0. It must not be copied after use. To start
// coroutines and wait for them with their errors, use executor.Scope.
//
// count is changed by everybody; who brings it to 0 wakes, under mu, those that are queued by then. Who waits queues
// under mu and looks at the count once more, so one of the two sees the other.
type WaitGroup struct {
	count atomic.Int64
	mu    sync.Mutex
	queue waitq.List[struct{}]
}

// Add adds n, which may be negative, to the count. It panics when the count becomes negative. As with sync.WaitGroup, an
// Add that starts from 0 must come before the Wait that is to see it.
func (g *WaitGroup) Add(n int) {
	c := g.count.Add(int64(n))
	if c < 0 {
		panic("locks: a WaitGroup's count is negative")
	}
	if c > 0 || n == 0 {
		return
	}
	g.mu.Lock()
	var wake waitq.Chain[struct{}]
	if g.count.Load() == 0 {
		for p := g.queue.PopFront(); p != nil; p = g.queue.PopFront() {
			g.queue.Retire(p)
			wake.Add(p)
		}
	}
	g.mu.Unlock()
	wake.Wake()
}

// Done takes one off the count.
func (g *WaitGroup) Done() { g.Add(-1) }

// Wait returns when the count is 0.
func (g *WaitGroup) Wait() { _ = g.WaitContext(context.Background()) }

// WaitContext is Wait that gives up when ctx ends: it returns context.Cause(ctx) then.
func (g *WaitGroup) WaitContext(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if g.count.Load() == 0 {
		return nil
	}
	g.mu.Lock()
	n := g.queue.Take()
	n.Waiter.Prepare()
	g.queue.PushBack(n)
	if g.count.Load() == 0 { // nobody else will wake us
		g.queue.Remove(n)
		n.Waiter.Disarm()
		g.queue.Give(n)
		g.mu.Unlock()
		return nil
	}
	g.mu.Unlock()
	err := g.queue.Await(ctx, &g.mu, n)
	g.queue.End(&g.mu, n, err)
	return err
}
