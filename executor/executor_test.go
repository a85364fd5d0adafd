package executor

import (
	"math"
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
		{DemoteAfter: maxDemoteAfter + 1}, {DemoteAfter: math.MaxInt},
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
	var looks uint64
	until(t, func() bool { // who says that it sleeps may still be on its way to the Poll that it sleeps in
		if !idle() {
			return false
		}
		looks = e.Stats().Looks
		polls := (*ds)[0].polls.Load() + (*ds)[1].polls.Load()
		time.Sleep(100 * time.Millisecond)
		return looks == e.Stats().Looks && polls == (*ds)[0].polls.Load()+(*ds)[1].polls.Load()
	}, "idle")
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
	c := Config{Workers: 2}
	ds := withDrivers(&c)
	e := start(t, c)
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
	for _, d := range *ds {
		// Polls, not waits: who is woken on the way to a sleep polls without waiting.
		require.LessOrEqual(t, d.wakes.Load(), d.polls.Load(), "a sleep was ended twice")
	}
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
	e := startUnwatched(t, c)
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
	e := startUnwatched(t, Config{Workers: 2})
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

func TestInjectLimit(t *testing.T) {
	e := startUnwatched(t, Config{Workers: 1, InjectLimit: 3})
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

// Skewed load spreads: while one worker has slow tasks only, another takes some. They are queued before its turn, or in the
// turn by a task that was alone; all fit into that turn, so none but its own looks at the clock can find them.
func TestStealing(t *testing.T) {
	for _, no := range []bool{false, true} {
		for _, alone := range []bool{false, true} {
			e := start(t, Config{Workers: 2, NoSteal: no, StallAfter: 100 * time.Millisecond})
			var g sync.WaitGroup
			var elsewhere atomic.Int64
			const n = 200
			g.Add(n)
			w := e.Workers()[0]
			queue := func(*Worker) {
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
			}
			if alone {
				w.Ready(newTask(Normal, queue))
			} else {
				w.Command(newCommand(queue))
			}
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
