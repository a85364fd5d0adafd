package executor

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// blockers are ways to block that the executor does not know: each returns when release is closed.
var blockers = map[string]func(t *testing.T, release <-chan struct{}) func(){
	"channel": func(t *testing.T, release <-chan struct{}) func() {
		return func() { <-release }
	},
	"sleep": func(t *testing.T, release <-chan struct{}) func() {
		return func() {
			for {
				select {
				case <-release:
					return
				default:
					time.Sleep(time.Millisecond)
				}
			}
		}
	},
}

// A coroutine that blocks does not stop the others, and afterwards goes on as a coroutine of its home worker.
func TestStallIsHandedOver(t *testing.T) {
	for name, block := range blockers {
		t.Run(name, func(t *testing.T) {
			e, clock := startManual(t, Config{Workers: 1})
			w := e.Workers()[0]
			release := make(chan struct{})
			do := block(t, release)
			co := new(Coroutine)
			blocked, done := make(chan struct{}), make(chan struct{})
			require.NoError(t, w.Start(co, Spawn{Run: func() {
				close(blocked)
				do()
				if Current() != co {
					t.Error("not found on the deposed runner")
				}
				if _, ok := w.Enter(); ok {
					t.Error("Enter after it was deposed")
				}
				Yield() // commits on the deposed runner
				if Current() != co {
					t.Error("not found after it came back")
				}
				s, ok := w.Enter()
				if !ok {
					t.Error("no Enter after it came back")
				}
				s.Leave()
			}, Exit: func(error) { close(done) }}))
			await(t, blocked, "start")
			waiting := make(chan struct{})
			require.NoError(t, w.Go(func() { close(waiting) }))
			clock.handOver(t)
			await(t, waiting, "what waited")
			for range 3 {
				call(t, w, func() { Yield() })
			}
			require.EqualValues(t, 1, e.Stats().HandOvers)
			close(release)
			await(t, done, "the blocked coroutine")
			require.Zero(t, e.Stats().Demotions)
			require.False(t, co.Demoted())
		})
	}
}

// The mutex is held by a coroutine that is suspended; only the worker that the other blocks can resume it.
func TestStallOnMutexHeldBySuspended(t *testing.T) {
	e := start(t, Config{Workers: 1})
	w := e.Workers()[0]
	var mu sync.Mutex
	var holder Waiter
	var g sync.WaitGroup
	g.Add(2)
	held := make(chan struct{})
	require.NoError(t, w.Go(func() {
		defer g.Done()
		mu.Lock()
		defer mu.Unlock()
		holder.Prepare()
		close(held)
		holder.Wait()
	}))
	await(t, held, "the holder")
	locking := make(chan struct{})
	require.NoError(t, w.Go(func() {
		defer g.Done()
		close(locking)
		mu.Lock()
		defer mu.Unlock()
	}))
	await(t, locking, "the other")
	require.True(t, holder.Wake())
	awaitGroup(t, &g, "the mutex")
}

// A callback that blocks is handed over as well, and is not run twice at a time.
func TestStallInCallback(t *testing.T) {
	e := start(t, Config{Workers: 1})
	w := e.Workers()[0]
	release, began := make(chan struct{}), make(chan struct{})
	var inside, runs atomic.Int32
	var task *Task
	again := make(chan struct{})
	task = newTask(Normal, func(*Worker) {
		if inside.Add(1) != 1 {
			t.Error("two runs overlap")
		}
		defer inside.Add(-1)
		if runs.Add(1) == 1 {
			close(began)
			<-release
			return
		}
		close(again)
	})
	w.Ready(task)
	await(t, began, "the callback")
	w.Ready(task) // while it runs: once more afterwards
	w.Ready(task)
	call(t, w, func() {})
	require.EqualValues(t, 1, runs.Load())
	close(release)
	await(t, again, "the second run")
	call(t, w, func() {})
	require.EqualValues(t, 2, runs.Load())
	require.GreaterOrEqual(t, e.Stats().HandOvers, uint64(1))
}

// Operations in flight count as work that waits.
func TestStallWithOperationsInFlight(t *testing.T) {
	c := Config{Workers: 1}
	ds := withDrivers(&c)
	e := start(t, c)
	d := (*ds)[0]
	d.inFlight.Store(1)
	release, got := make(chan struct{}), make(chan struct{})
	defer close(release)
	require.NoError(t, e.Workers()[0].Go(func() { <-release }))
	until(t, func() bool { return e.Stats().HandOvers == 1 }, "hand-over")
	d.post(func() { close(got) })
	await(t, got, "the completion")
}

// A timer that comes due behind a blocked task fires.
func TestStallWithTimer(t *testing.T) {
	e := start(t, Config{Workers: 1})
	w := e.Workers()[0]
	fired := make(chan struct{})
	tm := newTimer(w, func() { close(fired) })
	require.NoError(t, w.Go(func() {
		tm.Set(w.Now() + int64(5*time.Millisecond))
		<-fired
	}))
	await(t, fired, "the timer")
}

// Without anything that waits the monitor leaves a task alone for a while, and then hands it over to be able to rest.
func TestMonitorRestsBehindLongTask(t *testing.T) {
	e := start(t, Config{Workers: 1, StallAfter: 200 * time.Microsecond})
	release := make(chan struct{})
	defer close(release)
	require.NoError(t, e.Workers()[0].Go(func() { <-release }))
	until(t, e.monitor.parked.Load, "the monitor to rest")
	require.EqualValues(t, 1, e.Stats().HandOvers)
	require.Zero(t, e.Stats().Demotions)
}

func TestDemotion(t *testing.T) {
	e, clock := startManual(t, Config{Workers: 1, DemoteAfter: 2, DemoteWindow: time.Hour})
	w := e.Workers()[0]
	co := new(Coroutine)
	at, step, parked, done := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	var wait Waiter
	require.NoError(t, w.Start(co, Spawn{Run: func() {
		for range 2 {
			at <- struct{}{}
			<-step
			Yield()
		}
		if !co.Demoted() || Current() != nil {
			t.Error("not demoted")
		}
		if _, ok := w.Enter(); ok {
			t.Error("Enter on a demoted coroutine")
		}
		wait.Prepare()
		close(parked)
		wait.Wait()
		Yield()
	}, Exit: func(error) { close(done) }}))
	for i := range 2 {
		await(t, at, "the blocking") // what comes now waits behind it
		waiting := make(chan struct{})
		require.NoError(t, w.Go(func() { close(waiting) }))
		clock.handOver(t)
		await(t, waiting, "what waited")
		require.EqualValues(t, i+1, e.Stats().HandOvers)
		step <- struct{}{}
	}
	await(t, parked, "the demoted coroutine")
	before := e.Stats().HandOvers
	call(t, w, func() {})
	require.True(t, wait.Wake())
	await(t, done, "its end")
	s := e.Stats()
	require.Equal(t, before, s.HandOvers, "a demoted coroutine holds nobody up")
	require.EqualValues(t, 1, s.Demotions)
}

// Hand-overs that lie further apart than the window don't add up.
func TestDemotionWindow(t *testing.T) {
	m := &monitor{e: &Executor{config: Config{DemoteAfter: 2, DemoteWindow: time.Second}}}
	co := new(Coroutine)
	for i := int64(1); i <= 10; i++ {
		m.count(co, i*2*int64(time.Second))
	}
	require.False(t, co.Demoted())
	m.count(co, 20*int64(time.Second)+1)
	require.True(t, co.Demoted())
}

// A look that comes late proves nothing.
func TestLateLookIsIgnored(t *testing.T) {
	clock := newManualClock()
	e := start(t, Config{Workers: 1, Clock: clock})
	t.Cleanup(clock.free)
	w := e.Workers()[0]
	release, began := make(chan struct{}), make(chan struct{})
	defer close(release)
	require.NoError(t, w.Go(func() {
		close(began)
		<-release
	}))
	await(t, began, "start")
	require.NoError(t, w.Go(func() {}))
	clock.advance(t, 2*time.Millisecond) // seen for the first time
	clock.advance(t, 50*time.Millisecond)
	clock.asleep(t)
	require.Zero(t, e.Stats().HandOvers)
	clock.advance(t, 2*time.Millisecond)
	clock.asleep(t)
	require.EqualValues(t, 1, e.Stats().HandOvers)
}

// Many coroutines block and suspend at random while others hand a token round.
func TestStallStress(t *testing.T) {
	e := start(t, Config{Workers: 2, StallAfter: 200 * time.Microsecond, DemoteAfter: 4})
	var done sync.WaitGroup
	for i := range 4 {
		passToken(t, 2000, &done, [2]spawner{on(t, e.Workers()[i%2]), on(t, e.Workers()[(i/2)%2])})
	}
	var mu sync.Mutex
	for i := range 8 {
		done.Add(1)
		require.NoError(t, e.Workers()[i%2].Go(func() {
			defer done.Done()
			for j := range 30 {
				mu.Lock()
				if j%5 == i%5 {
					time.Sleep(500 * time.Microsecond)
				}
				if j%3 == 0 {
					Yield() // while it holds the mutex
				}
				mu.Unlock()
				Sleep(100 * time.Microsecond)
			}
		}))
	}
	awaitGroup(t, &done, "stress")
	require.NotZero(t, e.Stats().HandOvers)
}

// A monitor that wants to rest must not while a task runs.
func TestMonitorDoesNotRestDuringTask(t *testing.T) {
	e := startUnwatched(t, Config{Workers: 1})
	began, release := make(chan struct{}), make(chan struct{})
	require.NoError(t, e.Go(func() {
		close(began)
		<-release
	}))
	await(t, began, "the task")
	rested := make(chan struct{})
	m := newMonitor(e)
	go func() {
		m.rest()
		close(rested)
	}()
	await(t, rested, "the monitor rests although a worker is awake")
	close(release)
}

// A coroutine may be demoted when it has suspended already, or between Prepare and Wait.
func TestDemotedWhileSuspended(t *testing.T) {
	e := start(t, Config{Workers: 1, StallAfter: 100 * time.Millisecond})
	w := e.Workers()[0]
	co := new(Coroutine)
	var first, second Waiter
	done := make(chan struct{})
	require.NoError(t, w.Start(co, Spawn{Run: func() {
		first.Prepare()
		first.Wait()
		if Current() != nil {
			t.Error("still a coroutine")
		}
		second.Prepare()
		second.Wait()
	}, Exit: func(error) { close(done) }}))
	until(t, func() bool { return first.state.Load() == waiterAsleep }, "the suspension")
	co.demoted.Store(true)
	require.True(t, first.Wake())
	until(t, func() bool { return second.state.Load() == waiterParked }, "the park")
	require.Equal(t, stateLoop, w.runner.Load().state.Load()&stateMask, "it holds the worker up")
	require.True(t, second.Wake())
	await(t, done, "its end")

	var third Waiter
	release, prepared := make(chan struct{}), make(chan struct{})
	co = new(Coroutine)
	require.NoError(t, w.Start(co, Spawn{Run: func() {
		third.Prepare()
		close(prepared)
		<-release
		third.Wait()
	}}))
	await(t, prepared, "Prepare")
	call(t, w, func() {}) // it is on a deposed runner now
	co.demoted.Store(true)
	close(release)
	until(t, func() bool { return third.state.Load() == waiterParked }, "the park")
	require.True(t, third.Wake())
}
