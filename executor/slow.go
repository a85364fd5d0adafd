package executor

import "math"

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
// Where handlers in general block, a thousand of them at a millisecond each need a second for one round, and each would be
// forgiven before it comes to its next run. So the worker keeps the same account of all its runs; as long as it is far beyond
// what one coroutine is allowed (slowCrowd times), the first slow run demotes. A busy machine does not bring that about: it keeps a
// thread from the CPU after some milliseconds on it, which is once in hundreds of runs.
//
// To look back costs two readings of the clock per turn of more than one task. A turn of one task is looked at only while
// the monitor finds the worker inside tasks (watched), so that a worker with one busy connection does not pay either.
const (
	slowShare   = 8       // a run is slow from StallAfter/slowShare on: 250 µs
	slowLeast   = 250_000 // nanoseconds, whatever StallAfter is: any run may be kept from the CPU that long
	slowAverage = 8       // a turn is slow if it lasted as long as a slow run and its tasks took this part of one on average
	slowRun     = 16      // quick runs that make up for a slow one
	slowCrowd   = 8       // slow runs of a worker, in what demotes a coroutine, beyond which its handlers are taken to block
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
		co.slow.quick()
		w.slow.quick()
		return
	}
	crowd := w.slow.add(now, c) > slowCrowd*c.DemoteAfter*slowRun
	if co.slow.add(now, c) <= (c.DemoteAfter-1)*slowRun && !crowd {
		return
	}
	if w.workWaits(now) {
		w.e.demote(co)
	}
}

// slowness is the account of slow and quick runs, of one coroutine or of a worker's.
type slowness struct {
	worth int32
	last  uint32 // when the last slow run ended, in units of 1<<slowTick ns: every coroutine carries this
}

const slowTick = 20 // about a millisecond

func (s *slowness) quick() { s.worth = max(s.worth-1, 0) }

// add counts a slow run that ended at now, and returns the worth of all that count.
func (s *slowness) add(now int64, c *Config) int {
	at := uint32(now >> slowTick)
	if at-s.last > uint32(min(int64(c.DemoteWindow)>>slowTick, math.MaxInt32)) {
		s.worth = 0
	}
	s.worth, s.last = min(s.worth+slowRun, 2*slowRun*slowCrowd*int32(c.DemoteAfter)), at
	return int(s.worth)
}

// demote makes co an ordinary goroutine from its next resume on.
func (e *Executor) demote(co *Coroutine) {
	if !co.demoted.Swap(true) {
		e.stats.demotions.Add(1)
	}
}
