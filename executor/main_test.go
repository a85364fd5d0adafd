package executor

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/leaktest"
)

// hang is how long a test waits for something that must happen before it gives up.
const hang = 30 * time.Second

func TestMain(m *testing.M) { leaktest.Main(m) }

// start makes an executor that is shut down, and must then be empty, at the end of the test.
func start(t testing.TB, c Config) *Executor {
	t.Helper()
	e, err := New(c)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		require.NoError(t, e.Shutdown(ctx))
		s := e.Stats()
		require.Zero(t, s.Coroutines)
		require.Zero(t, s.Runners)
	})
	return e
}

// await waits for c.
func await(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(hang):
		t.Fatalf("hangs: %s", what)
	}
}

// awaitGroup waits for g.
func awaitGroup(t testing.TB, g *sync.WaitGroup, what string) {
	t.Helper()
	c := make(chan struct{})
	go func() {
		g.Wait()
		close(c)
	}()
	await(t, c, what)
}

// until waits until f holds.
func until(t testing.TB, f func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(hang); !f(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("hangs: %s", what)
		}
	}
}

// call runs f as a coroutine of w and waits for its end.
func call(t testing.TB, w *Worker, f func()) {
	t.Helper()
	c := make(chan struct{})
	require.NoError(t, w.Start(new(Coroutine), Spawn{Run: f, Exit: func(error) { close(c) }}))
	await(t, c, "a coroutine")
}

// command is a Command made of a function.
type command struct {
	Command
	f func(*Worker)
}

func newCommand(f func(*Worker)) *Command {
	c := &command{f: f}
	c.Init(c)
	return &c.Command
}

func (c *command) OnCommand(w *Worker, _ *Command) { c.f(w) }

// callback is a Task made of a function.
type callback struct {
	Task
	f func(*Worker)
}

func newTask(p Priority, f func(*Worker)) *Task {
	c := &callback{f: f}
	c.Init(c, p)
	return &c.Task
}

func (c *callback) RunTask(w *Worker, _ *Task) { c.f(w) }

// testDriver delivers what a test posts, as completions, and counts.
type testDriver struct {
	park     *parkDriver
	mu       sync.Mutex
	posted   []func()
	polls    atomic.Int64
	waits    atomic.Int64
	wakes    atomic.Int64
	inFlight atomic.Int64
	closed   atomic.Int64
	fail     atomic.Bool
	poller   atomic.Int32 // goroutines in Poll
}

func newTestDriver() *testDriver { return &testDriver{park: newParkDriver()} }

func (d *testDriver) post(f func()) {
	d.mu.Lock()
	d.posted = append(d.posted, f)
	d.mu.Unlock()
	d.park.Wake()
}

func (d *testDriver) Poll(wait time.Duration) (int, error) {
	if d.poller.Add(1) != 1 {
		panic("two goroutines poll")
	}
	defer d.poller.Add(-1)
	d.polls.Add(1)
	if d.closed.Load() > 0 {
		panic("polled after close")
	}
	if d.fail.Load() {
		return 0, os.ErrInvalid
	}
	if wait != 0 {
		d.waits.Add(1)
	}
	d.mu.Lock()
	n := len(d.posted)
	d.mu.Unlock()
	if n > 0 {
		wait = 0
	}
	d.park.Poll(wait)
	d.mu.Lock()
	fs := d.posted
	d.posted = nil
	d.mu.Unlock()
	for _, f := range fs {
		f()
	}
	return len(fs), nil
}

func (d *testDriver) Wake() {
	if d.closed.Load() > 0 {
		panic("woken after close")
	}
	d.wakes.Add(1)
	d.park.Wake()
}

func (d *testDriver) InFlight() int { return int(d.inFlight.Load()) }

func (d *testDriver) Close() error {
	d.closed.Add(1)
	return nil
}

// withDrivers makes c use test drivers, which it returns.
func withDrivers(c *Config) *[]*testDriver {
	ds := new([]*testDriver)
	c.NewDriver = func(*Worker) (Driver, error) {
		d := newTestDriver()
		*ds = append(*ds, d)
		return d, nil
	}
	return ds
}

// manualClock stands still but for advance.
type manualClock struct {
	mu       sync.Mutex
	cond     *sync.Cond
	now, end int64
	sleeping bool // the monitor, until end
	running  bool // free was called
}

func newManualClock() *manualClock {
	c := &manualClock{now: 1}
	c.cond = sync.NewCond(&c.mu)
	return c
}

func (c *manualClock) Now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) Sleep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = c.now + int64(d)
	c.sleeping = true
	for c.sleeping && !c.running {
		c.cond.Wait()
	}
}

// asleep waits until the monitor sleeps.
func (c *manualClock) asleep(t testing.TB) {
	t.Helper()
	until(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.sleeping
	}, "the monitor to sleep")
}

func (c *manualClock) advance(t testing.TB, d time.Duration) {
	t.Helper()
	c.asleep(t)
	c.mu.Lock()
	c.now += int64(d)
	if c.now >= c.end {
		c.sleeping = false
	}
	c.cond.Broadcast()
	c.mu.Unlock()
}

// handOver has the monitor look twice, StallAfter apart: what the first look finds inside a task is handed over by the second
// if work waits behind it.
func (c *manualClock) handOver(t testing.TB) {
	t.Helper()
	c.advance(t, defaultStallAfter)
	c.advance(t, defaultStallAfter)
	c.asleep(t)
}

// unwatched is the system's clock, on which the monitor sleeps until it is told that the test is over.
type unwatched struct {
	systemClock
	over chan struct{}
}

func (c unwatched) Sleep(time.Duration) { <-c.over }

// startUnwatched is start for a test that nothing may be handed over in: a task that is kept off the CPU looks to the monitor
// like one that blocks.
func startUnwatched(t testing.TB, c Config) *Executor {
	t.Helper()
	clock := unwatched{over: make(chan struct{})}
	c.Clock = clock
	e := start(t, c)
	t.Cleanup(func() { close(clock.over) })
	return e
}

// startManual is start with a clock that stands still, so that the monitor looks when the test says so.
func startManual(t testing.TB, c Config) (*Executor, *manualClock) {
	t.Helper()
	clock := newManualClock()
	c.Clock = clock
	e := start(t, c)
	t.Cleanup(clock.free)
	return e, clock
}

// free lets everybody go who sleeps or ever will.
func (c *manualClock) free() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = true
	c.cond.Broadcast()
}
