package executor

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type funcTimer struct {
	Timer
	f func()
}

func newTimer(w *Worker, f func()) *funcTimer {
	t := &funcTimer{f: f}
	t.Init(w, t)
	return t
}

func (t *funcTimer) OnTimer(*Worker, *Timer) { t.f() }

// bareWorker has no runner: timers can be driven by hand.
func bareWorker() *Worker {
	w := &Worker{e: &Executor{clock: systemClock{}}, park: newParkDriver()}
	w.driver = w.park
	w.timers.next.Store(never)
	r := &runner{w: w}
	r.own.Store(getg())
	w.runner.Store(r)
	return w
}

func TestTimersModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := bareWorker()
		const n = 20
		var ts [n]*funcTimer
		model := map[int]int64{}
		var fired []int
		for i := range ts {
			ts[i] = newTimer(w, func() { fired = append(fired, i) })
		}
		now := int64(1)
		pick := rapid.IntRange(0, n-1)
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				i := pick.Draw(t, "timer")
				at := now + rapid.Int64Range(-5, 50).Draw(t, "in")
				ts[i].Set(at)
				model[i] = at
			},
			"stop": func(t *rapid.T) {
				i := pick.Draw(t, "timer")
				_, set := model[i]
				require.Equal(t, set, ts[i].Stop())
				delete(model, i)
			},
			"advance": func(t *rapid.T) {
				now += rapid.Int64Range(0, 20).Draw(t, "by")
				w.now.Store(now)
				fired = nil
				w.fireTimers()
				var due []int
				for i, at := range model {
					if at <= now {
						due = append(due, i)
						delete(model, i)
					}
				}
				slices.Sort(due)
				slices.Sort(fired)
				require.Equal(t, due, fired)
			},
			"": func(t *rapid.T) {
				require.Len(t, w.timers.heap, len(model))
				next := w.timers.next.Load()
				for _, at := range model {
					require.LessOrEqual(t, next, at, "the worker would sleep too long")
				}
				if len(model) == 0 {
					require.EqualValues(t, never, next)
				}
				for i, e := range w.timers.heap {
					require.Equal(t, i+1, e.t.pos)
					if i > 0 {
						require.LessOrEqual(t, w.timers.heap[(i-1)/2].key, e.key)
					}
				}
			},
		})
	})
}

// Moving a deadline on costs no heap operation.
func TestTimerSetLaterIsLazy(t *testing.T) {
	w := bareWorker()
	a := newTimer(w, func() {})
	a.Set(100)
	for i := range int64(10) {
		a.Set(200 + i)
	}
	require.EqualValues(t, 100, w.timers.heap[0].key)
	w.now.Store(150)
	w.fireTimers()
	require.EqualValues(t, 209, w.timers.heap[0].key)
	require.Zero(t, testing.AllocsPerRun(100, func() { a.Set(1000) }))
}

// A handler that sets its timer to a time that has passed does not keep the worker.
func TestTimerSetsItself(t *testing.T) {
	w := bareWorker()
	n := 0
	var a *funcTimer
	a = newTimer(w, func() {
		n++
		a.Set(1)
	})
	a.Set(1)
	w.now.Store(10)
	w.fireTimers()
	require.Equal(t, 1, n)
}

// An earlier timer wakes a worker that sleeps until a later one, or without limit.
func TestTimerWakesSleeper(t *testing.T) {
	e := start(t, Config{Workers: 1})
	w := e.Workers()[0]
	until(t, func() bool { return w.sleeping.Load() == 1 }, "sleep")
	far := newTimer(w, func() { t.Error("fired") })
	far.Set(w.Now() + int64(time.Hour))
	fired := make(chan struct{})
	near := newTimer(w, func() { close(fired) })
	at := w.Now() + int64(time.Millisecond)
	near.Set(at)
	await(t, fired, "the timer")
	require.GreaterOrEqual(t, w.Now(), at)
	require.True(t, far.Stop())
	require.False(t, near.Stop())
}

func TestTimersFromManyGoroutines(t *testing.T) {
	e := start(t, Config{Workers: 2})
	var fired, stopped atomic.Int64
	const n = 2000
	var g sync.WaitGroup
	for k := range 4 {
		g.Go(func() {
			w := e.Workers()[k%2]
			for i := range n {
				tm := newTimer(w, func() { fired.Add(1) })
				tm.Set(w.Now() + int64(time.Hour) + int64(i%50))
				tm.Set(w.Now() + int64(i%50)*1000)
				if i%5 == 0 && tm.Stop() {
					stopped.Add(1)
				}
			}
		})
	}
	awaitGroup(t, &g, "setting")
	until(t, func() bool { return fired.Load()+stopped.Load() == 4*n }, "the timers")
}

func TestSleep(t *testing.T) {
	e := startUnwatched(t, Config{Workers: 1})
	w := e.Workers()[0]
	sleep := func() {
		before := e.clock.Now()
		w.Sleep(2 * time.Millisecond)
		if e.clock.Now()-before < int64(2*time.Millisecond) {
			t.Error("too short")
		}
		w.Sleep(0)
		Sleep(time.Microsecond)
	}
	sleep()
	call(t, w, func() {
		other := false
		if err := w.Go(func() { other = true }); err != nil {
			t.Error(err)
		}
		sleep()
		if !other {
			t.Error("the sleep held the worker up")
		}
	})
}

// A time beyond the clock's end is one that never comes, not one that has passed.
func TestNoTimeWrapsAround(t *testing.T) {
	e := start(t, Config{Workers: 1})
	w := e.Workers()[0]
	const always = time.Duration(math.MaxInt64)
	alarm := w.After(always)
	ctx, cancel := context.WithCancel(t.Context())
	slept := make(chan error, 1)
	require.NoError(t, w.Go(func() { slept <- SleepContext(ctx, always) }))
	var ready, worked bool
	require.NoError(t, RunScope(t.Context(), ScopeConfig{Executor: e, Timeout: always}, func(s *Scope) error {
		return s.Go(func(ctx context.Context) error {
			err := SleepContext(ctx, time.Millisecond) // by then what wrapped around would have happened
			ready, worked = alarm.Ready(), true
			return err
		})
	}))
	require.True(t, worked)
	require.False(t, ready)
	require.True(t, alarm.Stop())
	require.Empty(t, slept)
	cancel()
	require.ErrorIs(t, <-slept, context.Canceled)
	for _, d := range []time.Duration{-1 << 63, -1, 0, 1, always - 1, always} {
		for _, now := range []int64{1, 1 << 62} {
			at := later(now, max(d, 0))
			require.GreaterOrEqual(t, at, now)
			require.Less(t, at, never)
		}
	}
}
