package worldtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// The worlds are what they are called: how many of six parties are coroutines.
func TestWorlds(t *testing.T) {
	var coroutines []int64
	Each(t, func(w *World) {
		var n atomic.Int64
		for range 6 {
			w.Spawn(func() {
				if executor.Current() != nil {
					n.Add(1)
				}
			})
		}
		w.Wait()
		coroutines = append(coroutines, n.Load())
	})
	require.Equal(t, []int64{0, 6, 6, 6, 4}, coroutines)
}

func TestSides(t *testing.T) {
	var on []bool
	OnEachSide(t, func(*testing.T) error {
		on = append(on, executor.Current() != nil)
		return nil
	})
	require.Equal(t, []bool{false, true, true, true}, on)
	boom := errors.New("boom")
	e := NewExecutor(t, 1)
	require.Equal(t, boom, OnCoroutine(t, e, func() error { return boom }))
	var p *executor.PanicError
	require.ErrorAs(t, OnCoroutine(t, e, func() error { panic(boom) }), &p)
}

// Waits takes a context in a test, which Contexts does not look at.
func (*World) Waits(context.Context) {}

func TestContexts(t *testing.T) {
	require.NotContains(t, Contexts(t), "World.Waits")
	t.Chdir("../../locks")
	require.Contains(t, Contexts(t), "Mutex.LockContext")
}
