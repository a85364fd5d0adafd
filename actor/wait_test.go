//go:build linux

package actor

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/future"
)

// stuckChild makes an actor with a full mailbox whose sender that waits for room is its child. It fails once fail ends, in
// its first life.
func stuckChild(t *testing.T, s *System, lives *atomic.Int32, fail *future.Promise[struct{}]) Ref[int] {
	r := spawn(t, s, Props[int]{
		Mailbox:  1,
		Overflow: Wait,
		New: func(c *Context[int]) (Behavior[int], error) {
			if lives.Add(1) > 1 {
				return func(*Context[int], int) error { return nil }, nil
			}
			self := c.Self()
			child, err := Spawn(c, simple(func(*Context[int], int) error {
				for self.Tell(1) == nil {
				}
				return nil
			}))
			return func(c *Context[int], m int) error {
				if err := child.Tell(0); err != nil {
					return err
				}
				_, _ = fail.Future().Shield().Await(c.Context())
				return errBoom
			}, err
		},
	})
	a := r.t.(*actor[int])
	require.NoError(t, r.Tell(0))
	await(t, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.first != nil
	}, "the child to wait")
	return r
}

// An actor that ends waits for its children, and a child that waits for room in its mailbox must not wait for it.
func TestStopWithWaitingChild(t *testing.T) {
	s := newSystem(t, 2, Config{})
	r := stuckChild(t, s, new(atomic.Int32), new(future.Promise[struct{}]))
	r.Stop()
	ended(t, r)
}

// The same for a restart.
func TestRestartWithWaitingChild(t *testing.T) {
	s := newSystem(t, 2, Config{})
	var lives atomic.Int32
	fail := new(future.Promise[struct{}])
	r := stuckChild(t, s, &lives, fail)
	fail.Resolve(struct{}{})
	await(t, func() bool { return lives.Load() == 2 }, "the restart")
	require.NoError(t, r.Tell(1))
}

// A hook that calls runtime.Goexit does not keep the others from being told of the end.
func TestGoexitInStopped(t *testing.T) {
	s := newSystem(t, 1, Config{})
	p := simple(func(*Context[int], int) error { return nil })
	p.Stopped = func(*Context[int]) { runtime.Goexit() }
	r := spawn(t, s, p)
	r.Stop()
	ended(t, r)
}

// A Decide that panics or ends its goroutine leaves no child suspended.
func TestDecidePanics(t *testing.T) {
	var gaveUp events
	s := newSystem(t, 1, Config{
		Supervision: Supervision{Decide: func(string, error) Directive { panic("decide") }},
		GaveUp:      func(_ string, err error) { gaveUp.add(err.Error()) },
	})
	r := spawn(t, s, simple(func(*Context[int], int) error { return errBoom }))
	require.NoError(t, r.Tell(1))
	ended(t, r)
	require.Len(t, gaveUp.all, 1)
	require.Contains(t, gaveUp.all[0], "decide")
}

// An actor whose mailbox never runs dry lets the others of its worker run.
func TestBusyActorGivesWay(t *testing.T) {
	s, e := unwatchedSystem(t) // by itself, not by the monitor
	var stop atomic.Bool
	busy := spawn(t, s, simple(func(c *Context[int], m int) error {
		if stop.Load() {
			return nil
		}
		return c.Self().Tell(m)
	}))
	require.NoError(t, busy.Tell(1))
	other := spawn(t, s, simple(func(*Context[int], int) error { stop.Store(true); return nil }))
	require.NoError(t, other.Tell(1))
	await(t, stop.Load, "the other actor's turn")
	require.Zero(t, e.Stats().HandOvers)
}

// A timer that the Stopped hook sets does not tick for an actor that has ended.
func TestTimerSetInStopped(t *testing.T) {
	s := newSystem(t, 1, Config{})
	p := simple(func(*Context[int], int) error { return nil })
	p.Stopped = func(c *Context[int]) { c.Every(time.Millisecond, 1) }
	r := spawn(t, s, p)
	a := r.t.(*actor[int])
	r.Stop()
	ended(t, r)
	a.mu.Lock()
	defer a.mu.Unlock()
	require.Empty(t, a.timers)
}
