package executor

import (
	"io"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// Worker is one of an executor's workers. It stays the same object while runners come and go.
//
// Sleeping. The runner sets sleeping, looks once more at everything that others may have left for it, and then polls
// with a wait. Who leaves something looks at sleeping afterwards, and whoever swaps it back to 0 wakes the driver. All
// of these are sequentially consistent, so either the runner sees what was left or the other sees it asleep; and a
// worker that is awake, or being woken already, costs no system call.
type Worker struct {
	id int
	e  *Executor

	runner atomic.Pointer[runner]
	driver Driver
	park   *parkDriver // replaces a driver that broke

	// Owned: touched by the runner in loop state or in a section only.
	ready    readyQueue
	commands *Command // taken from the list, still to be run: a Goexit in one must not lose the rest
	turns    uint64
	tasks    uint64
	rng      *rand.PCG
	stacks   []*stack // idle
	closed   bool     // the driver was closed
	timed    int      // turns in which each task is timed: slow.go
	slow     slowness // of all runs

	_          [64]byte
	sleeping   atomic.Uint32
	overloaded atomic.Bool
	watched    atomic.Bool // the monitor's: it found the worker inside a task when it looked last
	stop       atomic.Bool
	broken     atomic.Bool  // the driver is out of use
	rousing    atomic.Int32 // goroutines that may be about to call driver.Wake
	now        atomic.Int64 // the turn's cached time, 0 when it was not asked for yet
	injected   taskList
	sent       commandList
	starting   atomic.Int64 // coroutines started from outside that have not begun
	timers     timers
	stats      workerStats
}

// ID is the worker's place in Executor.Workers.
func (w *Worker) ID() int { return w.id }

// Executor is the executor that w belongs to.
func (w *Worker) Executor() *Executor { return w.e }

// Driver is what Config.NewDriver made for w. It belongs to the worker: see Enter.
func (w *Worker) Driver() Driver { return w.driver }

// Now is the time of the executor's clock in nanoseconds. On the goroutine that runs w the clock is read once per turn,
// so that the answer may be as old as the turn; elsewhere it is read each time.
func (w *Worker) Now() int64 {
	if !w.runner.Load().actedBy(getg()) {
		return w.e.clock.Now()
	}
	n := w.now.Load()
	if n == 0 {
		n = w.e.clock.Now()
		w.now.Store(n)
	}
	return n
}

// Ready makes t run, on w or on a worker that steals it. It does nothing when t is queued already; when t is running
// it will run once more afterwards. It never fails, but after Shutdown has ended nothing runs any more.
func (w *Worker) Ready(t *Task) {
	if t.run == nil {
		panic("executor: Ready of a Task without Init")
	}
	if t.wanted() {
		w.enqueue(t)
	}
}

// Alone reports whether no other task is ready on w. Only for who owns w: see Enter.
func (w *Worker) Alone() bool { return w.ready.empty() }

// enqueue puts a task that is in no queue into one.
func (w *Worker) enqueue(t *Task) {
	if r := w.runner.Load(); r.actedBy(getg()) && w.ready.offer(t) {
		// The caller may have been deposed, and who runs w now may have found nothing. Not in the loop state, where the runner
		// itself delivers completions before it says that it no longer sleeps: to wake it would cost a system call per turn.
		if r.state.Load()&stateMask != stateLoop && w.sleeping.Load() != 0 {
			w.rouse()
		}
		return
	}
	if s, ok := w.Enter(); ok {
		w.ready.push(t)
		s.Leave()
		return
	}
	w.inject(t)
}

// inject leaves a task that is in no queue for the next turn.
func (w *Worker) inject(t *Task) {
	if w.injected.push(t) {
		w.rouse()
	}
}

// Command sends c to the runner of w. It does nothing when c is on its way already; a c that is sent while it is being
// handled is handled once more. It reports false when w has stopped for good; c is not handled then.
func (w *Worker) Command(c *Command) bool {
	if c.h == nil {
		panic("executor: Command without Init")
	}
	if w.sent.closed() {
		return false
	}
	if c.queued.Swap(true) {
		return true
	}
	if !w.sent.push(c) {
		c.queued.Store(false)
		return false
	}
	w.rouse()
	return true
}

// rouse wakes w if it sleeps, and reports whether it did.
func (w *Worker) rouse() bool {
	if w.sleeping.Load() == 0 {
		return false
	}
	w.rousing.Add(1)
	defer w.rousing.Add(-1)
	if !w.sleeping.CompareAndSwap(1, 0) {
		return false
	}
	if w.broken.Load() {
		w.park.Wake()
	} else {
		w.driver.Wake()
	}
	return true
}

// left reports whether others have left something for w. It is for the runner, between setting sleeping and Poll.
func (w *Worker) left() bool {
	return !w.injected.empty() || !w.sent.empty() || w.stop.Load() || w.ready.offered()
}

// workWaits reports whether there is something that w would do if its runner were free. Any goroutine.
func (w *Worker) workWaits(now int64) bool {
	return !w.ready.empty() || w.left() || w.timers.next.Load() <= now || !w.broken.Load() && w.driver.InFlight() > 0
}

// closeDriver closes the driver if it wants that. Nobody calls its Wake any more: who does not see broken was counted
// in rousing before it was set.
func (w *Worker) closeDriver() {
	w.closed = true
	w.broken.Store(true)
	for w.rousing.Load() > 0 {
		runtime.Gosched()
	}
	if c, ok := w.driver.(io.Closer); ok {
		if err := c.Close(); err != nil {
			w.e.driverBroke(w, err)
		}
	}
}

// poll polls the driver and takes it out of use when it breaks.
func (w *Worker) poll(wait time.Duration) {
	if w.broken.Load() {
		w.park.Poll(wait)
		return
	}
	w.stats.polls.Add(1)
	if _, err := w.driver.Poll(wait); err != nil {
		w.broken.Store(true)
		w.e.driverBroke(w, err)
	}
}
