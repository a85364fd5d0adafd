package executor

import "sync/atomic"

// Stats counts what an executor did since New. But for Coroutines and Runners all values only grow. The values are
// read one after the other, so they need not agree exactly.
type Stats struct {
	// Turns, Tasks and Polls count the workers' turns, the tasks that they ran (each resume of a coroutine is one;
	// those of a turn are counted at its end) and the calls of Driver.Poll.
	Turns, Tasks, Polls uint64
	// Steals counts tasks that were taken from another worker.
	Steals uint64
	// HandOvers counts workers that were taken from a runner that user code held up; Demotions the coroutines that
	// became ordinary goroutines because of it.
	HandOvers, Demotions uint64
	// Panics and Goexits count those in user code.
	Panics, Goexits uint64
	// Looks counts the monitor's; it stands still while the executor is idle.
	Looks uint64
	// Coroutines is the number of those that have not ended, Runners that of goroutines that the executor runs them
	// on, demoted coroutines included.
	Coroutines, Runners int
}

type workerStats struct {
	turns, tasks, polls atomic.Uint64
}

type executorStats struct {
	steals, handOvers, demotions, panics, goexits atomic.Uint64
}

// Stats returns the counters. Any goroutine.
func (e *Executor) Stats() Stats {
	s := Stats{
		Steals: e.stats.steals.Load(), HandOvers: e.stats.handOvers.Load(), Demotions: e.stats.demotions.Load(),
		Panics: e.stats.panics.Load(), Goexits: e.stats.goexits.Load(), Looks: e.monitor.looks.Load(),
		Coroutines: int(e.live.Load()), Runners: e.runners.count(),
	}
	for _, w := range e.workers {
		s.Turns += w.stats.turns.Load()
		s.Tasks += w.stats.tasks.Load()
		s.Polls += w.stats.polls.Load()
	}
	return s
}
