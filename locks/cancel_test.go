package locks

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/worldtest"
)

// suspensions are the places where a caller waits with a context: each is called so that it waits, and must give up,
// with the context's cause, before and while it waits. over then frees what the wait was for; it reports whether nothing
// was left behind.
var suspensions = map[string]worldtest.Suspension{
	"Mutex.LockContext": func() (func(context.Context) error, func() bool) {
		var m Mutex
		m.Lock()
		return m.LockContext, func() bool { m.Unlock(); return m.TryLock() }
	},
	"RWMutex.LockContext": func() (func(context.Context) error, func() bool) {
		var m RWMutex
		m.RLock()
		return m.LockContext, func() bool { return m.TryRLock() }
	},
	"RWMutex.RLockContext": func() (func(context.Context) error, func() bool) {
		var m RWMutex
		m.Lock()
		return m.RLockContext, func() bool { m.Unlock(); return m.TryLock() }
	},
	"Semaphore.AcquireContext": func() (func(context.Context) error, func() bool) {
		s := NewSemaphore(3)
		s.Acquire(1)
		return func(ctx context.Context) error { return s.AcquireContext(ctx, 3) }, func() bool { return s.TryAcquire(2) }
	},
	"Cond.WaitContext": func() (func(context.Context) error, func() bool) {
		var m Mutex
		c := NewCond(&m)
		return func(ctx context.Context) error {
			m.Lock()
			defer m.Unlock()
			return c.WaitContext(ctx)
		}, func() bool { return m.TryLock() && length(&c.mu, &c.queue) == 0 }
	},
	"WaitGroup.WaitContext": func() (func(context.Context) error, func() bool) {
		var g WaitGroup
		g.Add(1)
		return g.WaitContext, func() bool { return length(&g.mu, &g.queue) == 0 }
	},
	"Once.DoContext": func() (func(context.Context) error, func() bool) {
		var o Once
		o.m.Lock() // as while another party's call is under way
		return func(ctx context.Context) error { return o.DoContext(ctx, func() {}) },
			func() bool { o.m.Unlock(); return !o.Done() && o.m.TryLock() }
	},
	"Mutex.LockContext (barging)": func() (func(context.Context) error, func() bool) {
		m := Mutex{Barging: true}
		m.Lock()
		return m.LockContext, func() bool { m.Unlock(); return m.TryLock() }
	},
}

func TestCancelAtEverySuspension(t *testing.T) { worldtest.Cancel(t, suspensions) }

// The table above is complete: every exported function that takes a context is in it.
func TestSuspensionsAreComplete(t *testing.T) {
	want := slices.DeleteFunc(slices.Sorted(maps.Keys(suspensions)), func(s string) bool { return strings.Contains(s, " ") })
	require.Equal(t, want, worldtest.Contexts(t))
}
