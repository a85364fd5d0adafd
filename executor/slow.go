package executor

// Handlers that hold their worker up briefly and often.
//
// The monitor finds a task that blocks for longer than StallAfter. One that blocks for a millisecond at a time, as a
// query to a database over somebody else's sockets does, is over before that, and yet 64 of them in a row keep their
// worker from everything else for 64 ms. So the runner looks back at its turns. After one that was slow for the number of
// its tasks it times every task of the next turns, and demotes the coroutines whose runs are slow again and again.
//
// A run may be slow although its coroutine is not to blame: the thread was kept from the CPU. That happens to any
// coroutine alike, and rarely to the same. So each slow run counts slowRun, each quick one that is timed takes one back,
// and a coroutine is demoted when the worth of DemoteAfter slow runs has come together, none of which came later than
// DemoteWindow after the one before. One slow run in more than slowRun is for ever allowed.
//
// To look back costs two readings of the clock per turn of more than one task. A turn of one task is looked at only while
// the monitor finds the worker inside tasks (watched), so that a worker with one busy connection does not pay either.
const (
	slowShare   = 8       // a run is slow from StallAfter/slowShare on: 250 µs
	slowLeast   = 250_000 // nanoseconds, whatever StallAfter is: any run may be kept from the CPU that long
	slowAverage = 8       // a turn is slow if it lasted as long as a slow run and its tasks took this part of one on average
	slowRun     = 16      // quick runs that make up for a slow one
	timedTurns  = 128     // turns in which each task is timed, after a slow one
)

// lookBack looks at a turn that began at began and ran n tasks. Owner only.
func (w *Worker) lookBack(began int64, n int) {
	lasted, slow := w.e.clock.Now()-began, w.e.slowAfter
	if lasted >= slow && lasted >= int64(n)*slow/slowAverage {
		w.timed = timedTurns
	} else if w.timed > 0 {
		w.timed--
	}
}

// weigh counts a run of co that began at began, before co is given away. Owner only.
func (w *Worker) weigh(co *Coroutine, began int64) {
	c, now := &w.e.config, w.e.clock.Now()
	if now-began < w.e.slowAfter {
		co.slow = max(co.slow-1, 0)
		return
	}
	if now-co.slowAt > int64(c.DemoteWindow) {
		co.slow = 0
	}
	co.slow, co.slowAt = co.slow+slowRun, now
	if int(co.slow) > (c.DemoteAfter-1)*slowRun && w.workWaits(now) {
		w.e.demote(co)
	}
}

// demote makes co an ordinary goroutine from its next resume on.
func (e *Executor) demote(co *Coroutine) {
	if !co.demoted.Swap(true) {
		e.stats.demotions.Add(1)
	}
}
