package executor

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPanicIsContained(t *testing.T) {
	var reported atomic.Pointer[PanicError]
	e := start(t, Config{Workers: 1, OnPanic: func(p *PanicError) { reported.Store(p) }})
	w := e.Workers()[0]
	t.Run("exit hook", func(t *testing.T) {
		c := make(chan error, 1)
		require.NoError(t, w.Start(new(Coroutine), Spawn{Run: func() { Yield(); explode() }, Exit: func(err error) { c <- err }}))
		var p *PanicError
		require.ErrorAs(t, <-c, &p)
		require.Equal(t, "boom", p.Value)
		require.Contains(t, string(p.Stack), "explode")
		require.Nil(t, reported.Load())
	})
	t.Run("OnPanic", func(t *testing.T) {
		require.NoError(t, w.Go(explode))
		until(t, func() bool { return reported.Load() != nil }, "OnPanic")
		require.Contains(t, string(reported.Swap(nil).Stack), "explode")
	})
	t.Run("in a section", func(t *testing.T) {
		require.NoError(t, w.Go(func() {
			w.Enter()
			explode()
		}))
		until(t, func() bool { return reported.Swap(nil) != nil }, "OnPanic")
	})
	t.Run("callback", func(t *testing.T) {
		task := newTask(Normal, func(*Worker) { explode() })
		for range 3 {
			w.Ready(task)
			until(t, func() bool { return reported.Load() != nil }, "OnPanic")
			require.Contains(t, string(reported.Swap(nil).Stack), "explode")
		}
	})
	t.Run("callback in a section", func(t *testing.T) {
		w.Ready(newTask(Normal, func(*Worker) {
			w.Enter()
			explode()
		}))
		until(t, func() bool { return reported.Swap(nil) != nil }, "OnPanic")
	})
	t.Run("exit hook that panics", func(t *testing.T) {
		require.NoError(t, w.Start(new(Coroutine), Spawn{Run: func() {}, Exit: func(error) { explode() }}))
		until(t, func() bool { return reported.Load() != nil }, "OnPanic")
		require.Contains(t, string(reported.Swap(nil).Stack), "explode", "the stack is not that of the panic")
		call(t, w, func() {})
	})
	t.Run("exit hook that panics on a goroutine", func(t *testing.T) {
		require.NoError(t, w.Start(new(Coroutine), Spawn{Run: func() {}, Exit: func(error) { explode() }, Goroutine: true}))
		until(t, func() bool { return reported.Load() != nil }, "OnPanic")
		require.Contains(t, string(reported.Swap(nil).Stack), "explode", "the stack is not that of the panic")
	})
	t.Run("exit hook that panics after a Goexit", func(t *testing.T) {
		require.NoError(t, w.Start(new(Coroutine), Spawn{Run: runtime.Goexit, Exit: func(error) { explode() }}))
		until(t, func() bool { return reported.Load() != nil }, "OnPanic")
		require.Contains(t, string(reported.Swap(nil).Stack), "explode", "the stack is not that of the panic")
	})
	t.Run("blocked", func(t *testing.T) {
		release := make(chan struct{})
		require.NoError(t, w.Go(func() { <-release; explode() }))
		call(t, w, func() {})
		close(release)
		until(t, func() bool { return reported.Swap(nil) != nil }, "OnPanic")
	})
	t.Run("goroutine", func(t *testing.T) {
		require.NoError(t, w.Start(new(Coroutine), Spawn{Run: explode, Goroutine: true}))
		until(t, func() bool { return reported.Swap(nil) != nil }, "OnPanic")
	})
	call(t, w, func() { Yield() })
	require.EqualValues(t, 12, e.Stats().Panics)
}

//go:noinline
func explode() { panic("boom") }

func TestGoexitIsContained(t *testing.T) {
	e := start(t, Config{Workers: 1})
	w := e.Workers()[0]
	ended := func(t *testing.T, s Spawn) {
		c := make(chan error, 1)
		s.Exit = func(err error) { c <- err }
		require.NoError(t, w.Start(new(Coroutine), s))
		require.ErrorIs(t, <-c, ErrGoexit)
		call(t, w, func() { Yield() })
	}
	t.Run("at once", func(t *testing.T) { ended(t, Spawn{Run: runtime.Goexit}) })
	t.Run("after a suspension", func(t *testing.T) { ended(t, Spawn{Run: func() { Yield(); runtime.Goexit() }}) })
	t.Run("in a section", func(t *testing.T) { ended(t, Spawn{Run: func() { w.Enter(); runtime.Goexit() }}) })
	t.Run("goroutine", func(t *testing.T) { ended(t, Spawn{Run: runtime.Goexit, Goroutine: true}) })
	t.Run("deposed", func(t *testing.T) {
		release, done := make(chan struct{}), make(chan error, 1)
		require.NoError(t, w.Start(new(Coroutine), Spawn{
			Run:  func() { <-release; runtime.Goexit() },
			Exit: func(err error) { done <- err },
		}))
		call(t, w, func() {})
		close(release)
		require.ErrorIs(t, <-done, ErrGoexit)
		until(t, func() bool { return directory.deposed.Load() == nil }, "the list of deposed runners to be empty")
	})
	t.Run("callback", func(t *testing.T) {
		runs := make(chan int, 4)
		n := 0
		var task *Task
		task = newTask(Normal, func(*Worker) {
			n++
			runs <- n
			if n == 1 {
				w.Ready(task) // is not lost
			}
			runtime.Goexit()
		})
		w.Ready(task)
		<-runs
		<-runs
		call(t, w, func() { Yield() })
	})
	t.Run("command, and the rest of its list", func(t *testing.T) {
		var g sync.WaitGroup
		g.Add(3)
		w.Command(newCommand(func(*Worker) {
			for i := range 3 {
				w.Command(newCommand(func(*Worker) {
					g.Done()
					if i == 0 {
						runtime.Goexit()
					}
				}))
			}
		}))
		awaitGroup(t, &g, "commands")
	})
	t.Run("timer", func(t *testing.T) {
		fired := make(chan struct{}, 2)
		for range 2 {
			newTimer(w, func() { fired <- struct{}{}; runtime.Goexit() }).Set(w.Now())
		}
		<-fired
		<-fired
		call(t, w, func() { Yield() })
	})
	require.Zero(t, e.Stats().Panics)
}

// The runtime uses the record of a goroutine that has ended for the next one, which must not pass for the coroutine.
func TestEndedCoroutineIsForgotten(t *testing.T) {
	r := new(runner)
	r.curG.Store(getg())
	co := &Coroutine{runner: r}
	co.gone()
	require.EqualValues(t, noG, r.curG.Load())

	e := start(t, Config{Workers: 1})
	w := e.Workers()[0]
	for range 200 {
		call(t, w, func() {})
		var g sync.WaitGroup
		for range 4 {
			g.Go(func() {
				if _, ok := w.Enter(); ok || Current() != nil {
					t.Error("a goroutine passes for a coroutine that has ended")
				}
			})
		}
		g.Wait()
	}
}

// A demoted coroutine, an ordinary goroutine in the place of one, and getg from many goroutines.
func TestSpawnAsGoroutine(t *testing.T) {
	e := start(t, Config{Workers: 1})
	w := e.Workers()[0]
	done := make(chan error, 1)
	co := new(Coroutine)
	require.NoError(t, w.Start(co, Spawn{Goroutine: true, Run: func() {
		runtime.LockOSThread() // and it ends locked, as it may
		if Current() != nil {
			t.Error("Current")
		}
		w.Sleep(time.Millisecond)
		var x Waiter
		x.Prepare()
		w.Command(newCommand(func(*Worker) { x.Wake() }))
		x.Wait()
	}, Exit: func(err error) { done <- err }}))
	require.NoError(t, <-done)
	require.True(t, co.Demoted())
	require.Zero(t, e.Stats().HandOvers)
}

// What tells ordinary goroutines apart does not fill up: it is given back by runners and coroutines that end.
func TestFamiliarIsGivenBack(t *testing.T) {
	sum := func() (n int32) {
		for i := range familiar {
			n += familiar[i].Load()
		}
		return n
	}
	before := sum()
	e, err := New(Config{Workers: 2})
	require.NoError(t, err)
	for range 3 * keepStacks {
		require.NoError(t, e.Workers()[0].Go(Yield))
	}
	call(t, e.Workers()[0], func() {
		if sum() <= before {
			t.Error("nobody is noted")
		}
		if Current() == nil {
			t.Error("the coroutine is not known")
		}
	})
	require.NoError(t, e.Shutdown(context.Background()))
	until(t, func() bool { return sum() <= before }, "the counts to go back")
}
