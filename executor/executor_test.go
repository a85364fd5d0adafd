package executor

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigRefusesBadValues(t *testing.T) {
	for _, c := range []Config{
		{Workers: -1}, {Workers: MaxWorkers + 1}, {TaskBudget: -1}, {InjectLimit: MaxInjectLimit + 1},
		{StallAfter: time.Microsecond}, {StallAfter: time.Hour}, {DemoteWindow: -1},
	} {
		_, err := New(c)
		require.ErrorContains(t, err, "executor: Config.", "%+v", c)
	}
}

func TestNewClosesDriversWhenOneFails(t *testing.T) {
	var made []*testDriver
	_, err := New(Config{Workers: 3, NewDriver: func(w *Worker) (Driver, error) {
		if w.ID() == 2 {
			return nil, os.ErrPermission
		}
		d := newTestDriver()
		made = append(made, d)
		return d, nil
	}})
	require.ErrorIs(t, err, os.ErrPermission)
	require.Len(t, made, 2)
	for _, d := range made {
		require.EqualValues(t, 1, d.closed.Load())
	}
}

// Idle: the worker sits in one Poll without a limit, and the monitor rests.
func TestIdleCostsNothing(t *testing.T) {
	c := Config{Workers: 2}
	ds := withDrivers(&c)
	e := start(t, c)
	call(t, e.Workers()[0], func() {})
	idle := func() bool {
		return e.monitor.parked.Load() && e.monitor.allSleep()
	}
	until(t, idle, "idle")
	looks, polls := e.Stats().Looks, (*ds)[0].polls.Load()+(*ds)[1].polls.Load()
	time.Sleep(100 * time.Millisecond)
	require.Equal(t, looks, e.Stats().Looks)
	require.Equal(t, polls, (*ds)[0].polls.Load()+(*ds)[1].polls.Load())
	call(t, e.Workers()[0], func() {})
	until(t, idle, "idle again")
	require.Greater(t, e.Stats().Looks, looks, "the monitor was not stirred")
}

// A worker that is awake is not woken, and one that sleeps is woken once.
func TestNoWakeWhileAwake(t *testing.T) {
	c := Config{Workers: 1}
	ds := withDrivers(&c)
	e := start(t, c)
	w, d := e.Workers()[0], (*ds)[0]
	until(t, func() bool { return w.sleeping.Load() == 1 }, "sleep")
	before := d.wakes.Load()
	began, release := make(chan struct{}), make(chan struct{})
	w.Command(newCommand(func(*Worker) {
		close(began)
		<-release // a handler must not block, but a test may
	}))
	await(t, began, "the command")
	var g sync.WaitGroup
	for range 100 {
		g.Add(1)
		w.Command(newCommand(func(*Worker) { g.Done() }))
	}
	close(release)
	awaitGroup(t, &g, "commands")
	require.EqualValues(t, before+1, d.wakes.Load())
}

func TestCommandsRunOnOwner(t *testing.T) {
	e := start(t, Config{Workers: 2})
	const n, senders = 2000, 4
	var handled [2]atomic.Int64
	var g sync.WaitGroup
	for s := range senders {
		g.Go(func() {
			for i := range n {
				k := (s + i) % 2
				if !e.Workers()[k].Command(newCommand(func(w *Worker) {
					if w.ID() != k {
						t.Error("on another worker")
					}
					sec, ok := w.Enter()
					if !ok {
						t.Error("a command must own its worker")
					}
					sec.Leave()
					handled[k].Add(1)
				})) {
					t.Error("refused")
				}
			}
		})
	}
	awaitGroup(t, &g, "senders")
	until(t, func() bool { return handled[0].Load()+handled[1].Load() == n*senders }, "commands")
}

// A command that is sent while it is on its way runs once, one that is sent while it is handled once more.
func TestCommandCoalesces(t *testing.T) {
	e := start(t, Config{Workers: 1})
	w := e.Workers()[0]
	runs := 0
	ran := make(chan struct{}, 3)
	var c *Command
	c = newCommand(func(*Worker) {
		if runs++; runs == 1 {
			w.Command(c)
			w.Command(c)
		}
		ran <- struct{}{}
	})
	w.Command(newCommand(func(*Worker) {
		for range 5 {
			w.Command(c)
		}
	}))
	<-ran
	<-ran
	call(t, w, func() {})
	require.Equal(t, 2, runs)
}

func TestReadyRunsEachTaskOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 8} {
		e := start(t, Config{Workers: workers})
		const n = 5000
		var g sync.WaitGroup
		for k := range 4 {
			go func() {
				for i := range n {
					g.Add(1)
					e.Workers()[(k+i)%workers].Ready(newTask(Priority(i%3), func(*Worker) { g.Done() }))
				}
			}()
			g.Add(1)
			g.Done()
		}
		until(t, func() bool { return e.Stats().Tasks >= 4*n }, "tasks")
		awaitGroup(t, &g, "tasks")
		require.EqualValues(t, 4*n, e.Stats().Tasks)
	}
}

// After a Ready from anywhere a run begins that sees what was written before it.
func TestReadyIsNeverLost(t *testing.T) {
	e := start(t, Config{Workers: 2})
	w := e.Workers()[0]
	var want, seen, inside atomic.Int64
	task := newTask(Normal, func(*Worker) {
		if inside.Add(1) != 1 {
			t.Error("two runs overlap")
		}
		seen.Store(want.Load())
		inside.Add(-1)
	})
	var g sync.WaitGroup
	for range 3 {
		g.Go(func() {
			for range 20_000 {
				want.Add(1)
				w.Ready(task)
			}
		})
	}
	awaitGroup(t, &g, "senders")
	until(t, func() bool { return seen.Load() == want.Load() }, "the last Ready")
}

// After TaskBudget tasks the driver is polled, without waiting.
func TestTaskBudget(t *testing.T) {
	c := Config{Workers: 1, TaskBudget: 4}
	ds := withDrivers(&c)
	e := start(t, c)
	w, d := e.Workers()[0], (*ds)[0]
	var polls []int64
	var g sync.WaitGroup
	g.Add(12)
	w.Command(newCommand(func(*Worker) {
		for range 12 {
			w.Ready(newTask(Normal, func(*Worker) {
				polls = append(polls, d.polls.Load())
				g.Done()
			}))
		}
	}))
	awaitGroup(t, &g, "tasks")
	for i, p := range polls {
		require.EqualValues(t, polls[0]+int64(i/4), p)
	}
}

func TestSectionNestsAndRefusesSuspension(t *testing.T) {
	e := start(t, Config{Workers: 2})
	w, other := e.Workers()[0], e.Workers()[1]
	_, ok := w.Enter()
	require.False(t, ok, "on a goroutine")
	call(t, w, func() {
		if _, ok := other.Enter(); ok {
			t.Error("entered another worker")
		}
		a, ok := w.Enter()
		b, ok2 := w.Enter()
		if !ok || !ok2 {
			t.Error("no Enter")
		}
		b.Leave()
		if w.runner.Load().state.Load()&stateMask != stateEngine {
			t.Error("the inner Leave ended the section")
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("suspended inside a section")
				}
			}()
			Yield()
		}()
		a.Leave()
		Yield()
		if s, ok := w.Enter(); ok {
			s.Leave()
		} else {
			t.Error("no Enter after Yield")
		}
	})
}

// Nobody is deposed inside a section.
func TestSectionHoldsTheMonitorOff(t *testing.T) {
	e := start(t, Config{Workers: 1, StallAfter: 200 * time.Microsecond})
	w := e.Workers()[0]
	call(t, w, func() {
		s, ok := w.Enter()
		if !ok {
			t.Error("no Enter")
		}
		w.Command(newCommand(func(*Worker) {}))
		looks := e.Stats().Looks
		for e.Stats().Looks < looks+longStalls+4 {
			runtime.Gosched()
		}
		if e.Stats().HandOvers != 0 {
			t.Error("deposed inside a section")
		}
		s.Leave()
	})
}

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
		until(t, func() bool { return reported.Swap(nil) != nil }, "OnPanic")
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
	require.EqualValues(t, 10, e.Stats().Panics)
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

func TestInjectLimit(t *testing.T) {
	e := start(t, Config{Workers: 1, InjectLimit: 3, StallAfter: 100 * time.Millisecond})
	w := e.Workers()[0]
	release, began := make(chan struct{}), make(chan struct{})
	w.Command(newCommand(func(*Worker) {
		close(began)
		<-release
	}))
	await(t, began, "the command")
	var g sync.WaitGroup
	for range 3 {
		g.Add(1)
		require.NoError(t, w.Go(g.Done))
	}
	require.ErrorIs(t, w.Go(func() {}), ErrQueueFull)
	close(release)
	awaitGroup(t, &g, "coroutines")
	g.Add(100)
	call(t, w, func() { // on the worker there is no limit
		for range 100 {
			if err := w.Go(g.Done); err != nil {
				t.Error(err)
			}
		}
	})
	awaitGroup(t, &g, "coroutines")
}

// Skewed load spreads: while one worker has slow tasks only, another takes some.
func TestStealing(t *testing.T) {
	for _, no := range []bool{false, true} {
		e := start(t, Config{Workers: 2, NoSteal: no, StallAfter: 100 * time.Millisecond})
		var g sync.WaitGroup
		var elsewhere atomic.Int64
		const n = 200
		g.Add(n)
		e.Workers()[0].Command(newCommand(func(w *Worker) {
			for range n {
				w.Ready(newTask(Normal, func(by *Worker) {
					for end := time.Now().Add(200 * time.Microsecond); time.Now().Before(end); {
						runtime.Gosched()
					}
					if by != w {
						elsewhere.Add(1)
					}
					g.Done()
				}))
			}
		}))
		awaitGroup(t, &g, "tasks")
		if no {
			require.Zero(t, elsewhere.Load())
			require.Zero(t, e.Stats().Steals)
			continue
		}
		require.NotZero(t, elsewhere.Load())
		require.GreaterOrEqual(t, e.Stats().Steals, uint64(elsewhere.Load()))
	}
}

// A coroutine that was stolen is woken on its home worker.
func TestStolenCoroutineGoesHome(t *testing.T) {
	e := start(t, Config{Workers: 2, StallAfter: 100 * time.Millisecond})
	home := e.Workers()[0]
	var g sync.WaitGroup
	const n = 100
	g.Add(n)
	var stolen, back atomic.Int64
	home.Command(newCommand(func(*Worker) {
		for range n {
			home.Go(func() {
				defer g.Done()
				for range 10 {
					for end := time.Now().Add(100 * time.Microsecond); time.Now().Before(end); {
						runtime.Gosched()
					}
					if s, ok := home.Enter(); ok {
						s.Leave()
						back.Add(1)
					} else {
						stolen.Add(1)
					}
					if Current() == nil {
						t.Error("not found on the thief")
					}
					Yield()
				}
			})
		}
	}))
	awaitGroup(t, &g, "coroutines")
	require.NotZero(t, stolen.Load())
	require.NotZero(t, back.Load())
}

func TestDriverThatBreaks(t *testing.T) {
	broke := make(chan error, 1)
	c := Config{Workers: 1, OnDriverError: func(_ *Worker, err error) { broke <- err }}
	ds := withDrivers(&c)
	e := start(t, c)
	w := e.Workers()[0]
	(*ds)[0].fail.Store(true)
	call(t, w, func() {})
	require.ErrorIs(t, <-broke, os.ErrInvalid)
	for range 10 {
		call(t, w, func() { w.Sleep(100 * time.Microsecond) })
	}
}

func TestShutdownWithEverythingPending(t *testing.T) {
	var waiters [20]Waiter
	c := Config{Workers: 2, OnShutdown: func(context.Context) error {
		for i := range waiters {
			waiters[i].Wake()
		}
		return errors.New("from the hook")
	}}
	ds := withDrivers(&c)
	e, err := New(c)
	require.NoError(t, err)
	var ended atomic.Int64
	var armed sync.WaitGroup
	armed.Add(len(waiters))
	for i := range waiters {
		require.NoError(t, e.Workers()[i%2].Go(func() {
			waiters[i].Prepare()
			armed.Done()
			waiters[i].Wait()
			Yield()
			if i == 3 {
				time.Sleep(5 * time.Millisecond) // handed over during the shutdown
			}
			Sleep(time.Millisecond)
			ended.Add(1)
		}))
	}
	awaitGroup(t, &armed, "the coroutines")
	newTimer(e.Workers()[0], func() { t.Error("a timer fired") }).Set(e.clock.Now() + int64(time.Hour))
	var tasks atomic.Int64
	for i := range 100 {
		e.Workers()[i%2].Ready(newTask(Low, func(*Worker) { tasks.Add(1) }))
	}
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	require.EqualError(t, e.Shutdown(ctx), "from the hook")
	require.EqualValues(t, len(waiters), ended.Load())
	require.EqualValues(t, 100, tasks.Load())
	for _, d := range *ds {
		require.EqualValues(t, 1, d.closed.Load())
	}
	// Afterwards everything is refused or does nothing.
	w := e.Workers()[0]
	require.ErrorIs(t, w.Go(func() {}), ErrShutdown)
	require.ErrorIs(t, e.Go(func() {}), ErrShutdown)
	require.False(t, w.Command(newCommand(func(*Worker) { t.Error("ran") })))
	w.Ready(newTask(Normal, func(*Worker) { t.Error("ran") }))
	newTimer(w, func() { t.Error("fired") }).Set(0)
	require.NoError(t, e.Shutdown(ctx))
}

func TestShutdownNamesWhatIsLeft(t *testing.T) {
	e, err := New(Config{Workers: 1})
	require.NoError(t, err)
	var w Waiter
	armed := make(chan struct{})
	require.NoError(t, e.Go(func() {
		w.Prepare()
		close(armed)
		w.Wait()
	}))
	await(t, armed, "the coroutine")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err = e.Shutdown(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "1 coroutines")
	require.ErrorIs(t, e.Go(func() {}), ErrShutdown)
	require.True(t, w.Wake())
	ctx2, cancel2 := context.WithTimeout(context.Background(), hang)
	defer cancel2()
	var g sync.WaitGroup
	for range 3 {
		g.Go(func() {
			if err := e.Shutdown(ctx2); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
}

// Starts and wake-ups race with the shutdown; each coroutine that was accepted ends.
func TestShutdownRaces(t *testing.T) {
	for range 50 {
		e, err := New(Config{Workers: 2})
		require.NoError(t, err)
		var accepted, ended atomic.Int64
		var g sync.WaitGroup
		for range 3 {
			g.Go(func() {
				for {
					err := e.Go(func() { Yield(); ended.Add(1) })
					if errors.Is(err, ErrShutdown) {
						return
					}
					if err == nil {
						accepted.Add(1)
					}
					runtime.Gosched()
				}
			})
		}
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		require.NoError(t, e.Shutdown(ctx))
		cancel()
		g.Wait()
		require.Equal(t, accepted.Load(), ended.Load())
	}
}

// What waits in the steady state allocates nothing.
func TestNoAllocations(t *testing.T) {
	e := start(t, Config{Workers: 1})
	w := e.Workers()[0]
	call(t, w, func() {
		if n := testing.AllocsPerRun(1000, Yield); n != 0 {
			t.Errorf("Yield: %v allocations", n)
		}
		var x Waiter
		tm := newTimer(w, func() { x.Wake() })
		if n := testing.AllocsPerRun(1000, func() {
			x.PrepareNear(w)
			tm.Set(1)
			x.Wait()
		}); n != 0 {
			t.Errorf("timer and Wait: %v allocations", n)
		}
		c := newCommand(func(*Worker) { x.Wake() })
		if n := testing.AllocsPerRun(1000, func() {
			x.Prepare()
			w.Command(c)
			x.Wait()
		}); n != 0 {
			t.Errorf("command and Wait: %v allocations", n)
		}
	})
	var x Waiter
	task := newTask(Normal, func(*Worker) { x.Wake() })
	n := testing.AllocsPerRun(1000, func() {
		x.Prepare()
		w.Ready(task)
		x.Wait()
	})
	require.Zero(t, n, "Ready and Wait on a goroutine")
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
