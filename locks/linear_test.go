package locks

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/worldtest"
)

// A lock in the eyes of a sequential caller: how many permits are out, of size. A writer takes all of them, a reader
// one.
type (
	lockInput struct {
		n   int64 // permits taken, or < 0: given back
		try bool
	}
	lockOutput struct {
		ok bool // false: the context ended, or a try failed
	}
)

func lockModel(size int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return int64(0) },
		Step: func(state, in, out any) (bool, any) {
			held, i, ok := state.(int64), in.(lockInput), out.(lockOutput).ok
			switch {
			case i.n < 0:
				return held+i.n >= 0, held + i.n
			case ok:
				return held+i.n <= size, held + i.n
			case i.try && i.n == size:
				// Somebody has it, or waits for it, which also means that somebody has it.
				return held > 0, held
			}
			return true, held
		},
	}
}

// anyLock is what the kinds of locks have in common.
type anyLock struct {
	size    int64
	sizes   []int64
	acquire func(ctx context.Context, n int64) error
	try     func(n int64) bool
	release func(n int64)
}

func anyLocks() map[string]func() anyLock {
	mutex := func(barging bool) func() anyLock {
		return func() anyLock {
			m := &Mutex{Barging: barging}
			return anyLock{1, []int64{1}, func(ctx context.Context, _ int64) error { return m.LockContext(ctx) },
				func(int64) bool { return m.TryLock() }, func(int64) { m.Unlock() }}
		}
	}
	return map[string]func() anyLock{
		"mutex": mutex(false), "barging mutex": mutex(true),
		"rwmutex": func() anyLock {
			m := new(RWMutex)
			return anyLock{100, []int64{1, 100}, func(ctx context.Context, n int64) error {
				if n > 1 {
					return m.LockContext(ctx)
				}
				return m.RLockContext(ctx)
			}, func(n int64) bool {
				if n > 1 {
					return m.TryLock()
				}
				return m.TryRLock()
			}, func(n int64) {
				if n > 1 {
					m.Unlock()
				} else {
					m.RUnlock()
				}
			}}
		},
		"semaphore": func() anyLock {
			s := NewSemaphore(3)
			return anyLock{3, []int64{1, 2, 3}, s.AcquireContext, s.TryAcquire, s.Release}
		},
	}
}

// Histories of concurrent operations can be put into an order that a sequential lock would have produced.
func TestLocksLinearizable(t *testing.T) {
	for name, make := range anyLocks() {
		t.Run(name, func(t *testing.T) {
			worldtest.Each(t, func(w *worldtest.World) {
				for range worldtest.Scale(1000) {
					l := make()
					var clock atomic.Int64
					var mu sync.Mutex
					var history []porcupine.Operation
					note := func(p int, in lockInput, f func() bool) bool {
						call := clock.Add(1)
						ok := f()
						end := clock.Add(1)
						mu.Lock()
						history = append(history, porcupine.Operation{ClientId: p, Input: in, Output: lockOutput{ok}, Call: call, Return: end})
						mu.Unlock()
						return ok
					}
					for p := range 4 {
						w.Spawn(func() {
							for range 5 {
								in := lockInput{l.sizes[rand.IntN(len(l.sizes))], rand.IntN(3) == 0}
								if note(p, in, func() bool { return take(l, in) }) {
									note(p, lockInput{n: -in.n}, func() bool { l.release(in.n); return true })
								}
							}
						})
					}
					w.Wait()
					if !porcupine.CheckOperations(lockModel(l.size), history) {
						w.Fatalf("not linearizable: %+v", history)
					}
					require.True(w, l.try(l.size), "not free at the end")
				}
			})
		})
	}
}

func take(l anyLock, in lockInput) bool {
	if in.try {
		return l.try(in.n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if rand.IntN(2) == 0 {
		go func() {
			for range rand.IntN(20) {
				runtime.Gosched()
			}
			cancel()
		}()
	}
	return l.acquire(ctx, in.n) == nil
}

func TestLockModelNotices(t *testing.T) {
	op := func(n int64, try, ok bool, at int64) porcupine.Operation {
		return porcupine.Operation{Input: lockInput{n, try}, Output: lockOutput{ok}, Call: at, Return: at}
	}
	for _, h := range [][]porcupine.Operation{
		{op(1, false, true, 1), op(1, false, true, 2)},
		{op(1, true, false, 1)},
		{op(1, false, true, 1), op(-1, false, true, 2), op(1, true, false, 3)},
	} {
		require.False(t, porcupine.CheckOperations(lockModel(1), h))
	}
}
