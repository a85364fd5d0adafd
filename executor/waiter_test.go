package executor

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestSizes(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(Waiter{}), uintptr(48))
	require.LessOrEqual(t, unsafe.Sizeof(Coroutine{}), uintptr(144))
	require.LessOrEqual(t, unsafe.Sizeof(Timer{}), uintptr(48))
}

func TestWaiterStates(t *testing.T) {
	var w Waiter
	require.False(t, w.Wake(), "a Wake before any Prepare")
	require.Panics(t, w.Wait)
	w.Prepare()
	require.Panics(t, w.Prepare)
	require.False(t, w.Fired())
	require.True(t, w.Disarm())
	require.False(t, w.Wake())
	w.Prepare()
	require.True(t, w.Wake())
	require.False(t, w.Wake())
	require.True(t, w.Fired())
	require.False(t, w.Disarm())
	w.Wait()
	w.Wait()
}

type spawner func(func())

func goroutine(f func()) { go f() }

func on(t testing.TB, w *Worker) spawner {
	return func(f func()) { require.NoError(t, w.Go(f)) }
}

// passToken lets two parties wake each other in turn. Each arms its own Waiter before it wakes the other, so every Wake
// must succeed, and a lost or doubled one shows at once.
func passToken(t *testing.T, rounds int, done *sync.WaitGroup, spawn [2]spawner) {
	var w [2]Waiter
	armed := make(chan struct{})
	done.Add(2)
	spawn[1](func() {
		defer done.Done()
		w[1].Prepare()
		close(armed)
		for range rounds {
			w[1].Wait()
			w[1].Prepare()
			if !w[0].Wake() {
				t.Error("party 0 was not armed")
				return
			}
		}
	})
	await(t, armed, "party 1")
	spawn[0](func() {
		defer done.Done()
		w[0].Prepare()
		for range rounds {
			if !w[1].Wake() {
				t.Error("party 1 was not armed")
				return
			}
			w[0].Wait()
			w[0].Prepare()
		}
	})
}

func TestWaiterPassesToken(t *testing.T) {
	const rounds, pairs = 3000, 8
	for _, workers := range []int{1, 2, 8} {
		for _, kind := range []string{"same worker", "two workers", "coroutine and goroutine", "goroutines"} {
			t.Run(fmt.Sprintf("%d/%s", workers, kind), func(t *testing.T) {
				e := start(t, Config{Workers: workers})
				var done sync.WaitGroup
				for i := range pairs {
					a, b := on(t, e.Workers()[i%workers]), on(t, e.Workers()[(i+1)%workers])
					switch kind {
					case "same worker":
						b = a
					case "coroutine and goroutine":
						b = goroutine
					case "goroutines":
						a, b = goroutine, goroutine
					}
					passToken(t, rounds, &done, [2]spawner{a, b})
				}
				awaitGroup(t, &done, "the token was lost")
			})
		}
	}
}

// Of many Wakes in one round exactly one counts, whatever state it finds.
func TestWaiterOneWakeCounts(t *testing.T) {
	const rounds, wakers = 500, 3
	for _, kind := range []string{"coroutine", "goroutine"} {
		t.Run(kind, func(t *testing.T) {
			e := start(t, Config{Workers: 2})
			var w Waiter
			var round, acks, counted atomic.Int64
			var done sync.WaitGroup
			for i := range wakers {
				spawn := spawner(goroutine)
				if i == 0 {
					spawn = on(t, e.Workers()[0])
				}
				done.Add(1)
				spawn(func() {
					defer done.Done()
					for r := int64(1); r <= rounds; r++ {
						for round.Load() < r {
							Yield()
						}
						if w.Wake() {
							counted.Add(1)
						}
						acks.Add(1)
					}
				})
			}
			wait := func() {
				defer done.Done()
				for r := int64(1); r <= rounds; r++ {
					w.Prepare()
					round.Store(r)
					if r%3 == 0 {
						Yield()
					}
					w.Wait()
					for acks.Load() < r*wakers {
						Yield()
					}
				}
			}
			done.Add(1)
			if kind == "coroutine" {
				require.NoError(t, e.Workers()[1].Go(wait))
			} else {
				go wait()
			}
			awaitGroup(t, &done, "a wake-up was lost")
			require.EqualValues(t, rounds, counted.Load())
		})
	}
}

// A Wake between Prepare and the runner's commit finds the coroutine still running; it must not be resumed twice.
func TestWakeWhileSuspending(t *testing.T) {
	const rounds = 20_000
	e := start(t, Config{Workers: 1})
	var w Waiter
	var armed atomic.Int64
	var inside atomic.Int32
	done := make(chan struct{})
	require.NoError(t, e.Workers()[0].Go(func() {
		defer close(done)
		for r := int64(1); r <= rounds; r++ {
			if inside.Add(1) != 1 {
				t.Error("resumed while it ran")
			}
			w.Prepare()
			inside.Add(-1)
			armed.Store(r)
			w.Wait()
		}
	}))
	for r := int64(1); r <= rounds; r++ {
		for armed.Load() < r {
			runtime.Gosched()
		}
		if !w.Wake() {
			t.Fatal("was not armed")
		}
	}
	await(t, done, "the coroutine")
}

func TestDisarmRacesWake(t *testing.T) {
	const rounds = 20_000
	var w Waiter
	var armed, woke, disarmed atomic.Int64
	var g sync.WaitGroup
	var acks atomic.Int64
	g.Go(func() {
		for r := int64(1); r <= rounds; r++ {
			for armed.Load() < r {
				runtime.Gosched()
			}
			if w.Wake() {
				woke.Add(1)
			}
			acks.Store(r)
		}
	})
	for r := int64(1); r <= rounds; r++ {
		w.Prepare()
		armed.Store(r)
		if w.Disarm() {
			disarmed.Add(1)
		}
		for acks.Load() < r {
			runtime.Gosched()
		}
	}
	g.Wait()
	require.EqualValues(t, rounds, woke.Load()+disarmed.Load())
}

func TestWaitInLoopStatePanics(t *testing.T) {
	e := start(t, Config{Workers: 1})
	c := make(chan any, 1)
	require.True(t, e.Workers()[0].Command(newCommand(func(w *Worker) {
		defer func() { c <- recover() }()
		var x Waiter
		x.Prepare()
		x.Wait()
	})))
	require.Contains(t, <-c, "completion, command or timer handler")
}

func TestCurrent(t *testing.T) {
	require.Nil(t, Current())
	e := startUnwatched(t, Config{Workers: 2})
	for _, w := range e.Workers() {
		co := new(Coroutine)
		c := make(chan struct{})
		require.NoError(t, w.Start(co, Spawn{Run: func() {
			for range 3 {
				if Current() != co || currentNear(w) != co {
					t.Error("Current on the coroutine")
				}
				if co.Home() != w {
					t.Error("Home")
				}
				Yield()
			}
			inner := make(chan struct{})
			go func() {
				defer close(inner)
				if Current() != nil {
					t.Error("Current on a goroutine that the coroutine started")
				}
			}()
			<-inner
		}, Exit: func(error) { close(c) }}))
		await(t, c, "coroutine")
		in := make(chan *Coroutine, 2)
		w.Ready(newTask(Normal, func(*Worker) { in <- Current() }))
		w.Command(newCommand(func(*Worker) { in <- Current() }))
		require.Nil(t, <-in)
		require.Nil(t, <-in)
	}
}
