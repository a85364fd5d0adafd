package executor

import (
	"sync/atomic"
)

// A monitor finds the workers that user code holds up, and hands them over. There is one per executor.
//
// It looks once per StallAfter. A runner that is in the same task at two looks has been there for at least that long; if
// work waits for the worker, the monitor deposes the runner and starts another. So a hand-over comes one to two StallAfter
// after the task began, and later by as much as the sleeps are late. A task that lasts much longer is handed over even if
// nothing waits, so that the monitor need not watch it for ever.
//
// A look that comes late says nothing of the tasks, since the whole process may have been kept from running: the time
// of every task starts anew then.
//
// When all workers have slept for a few looks the monitor parks: it sets parked, and looks once more whether all
// sleep; a worker that stops sleeping writes that first and looks at parked afterwards.
type monitor struct {
	e      *Executor
	parked atomic.Bool
	stop   atomic.Bool
	wake   chan struct{}
	done   chan struct{}
	looks  atomic.Uint64
	seen   []sighting
	quiet  int
}

// sighting is what the monitor saw of a worker when it looked last.
type sighting struct {
	r     *runner
	task  uint64 // the state word without the state
	turns uint64
	since int64
}

const (
	lateNs     = 2_000_000 // beyond this and two StallAfters a look is late: sleeps are rounded up to a millisecond
	quietLooks = 4         // looks without any activity before it parks
	longStalls = 16        // StallAfters after which a task is handed over in any case
)

func newMonitor(e *Executor) *monitor {
	return &monitor{e: e, wake: make(chan struct{}, 1), done: make(chan struct{}), seen: make([]sighting, len(e.workers))}
}

func (m *monitor) run() {
	defer close(m.done)
	clock, tick := m.e.clock, m.e.config.StallAfter
	for !m.stop.Load() {
		if m.quiet >= quietLooks {
			m.rest()
			continue
		}
		before := clock.Now()
		clock.Sleep(tick)
		now := clock.Now()
		m.look(now, now-before > 2*int64(tick)+lateNs)
	}
}

// rest parks until a worker wakes up.
func (m *monitor) rest() {
	m.quiet = 0
	m.parked.Store(true)
	if (m.stop.Load() || !m.allSleep()) && m.parked.CompareAndSwap(true, false) {
		return
	}
	<-m.wake
}

// stir ends the rest. Whoever calls it has written before what the monitor looks at.
func (m *monitor) stir() {
	if m.parked.Load() && m.parked.CompareAndSwap(true, false) {
		m.wake <- struct{}{}
	}
}

func (m *monitor) allSleep() bool {
	for _, w := range m.e.workers {
		if w.sleeping.Load() == 0 {
			return false
		}
	}
	return true
}

// look looks at each worker once. late tells that the look came late.
func (m *monitor) look(now int64, late bool) {
	m.looks.Add(1)
	m.quiet++
	for i, w := range m.e.workers {
		seen := &m.seen[i]
		if t := w.stats.turns.Load(); t != seen.turns {
			seen.turns = t
			m.quiet = 0
		}
		r := w.runner.Load()
		word := r.state.Load()
		state, task := word&stateMask, word&^stateMask
		if in := state != stateLoop; in != w.watched.Load() {
			w.watched.Store(in)
		}
		if state == stateLoop {
			seen.r = nil
			continue
		}
		m.quiet = 0
		if seen.r != r || seen.task != task || late {
			seen.r, seen.task, seen.since = r, task, now
			continue
		}
		if state == stateTask {
			m.stalled(w, r, word, now, now-seen.since)
		}
	}
}

// stalled hands w over if that helps anybody.
func (m *monitor) stalled(w *Worker, r *runner, word uint64, now, lasted int64) {
	after := int64(m.e.config.StallAfter)
	waits := w.workWaits(now)
	if lasted < after || !waits && lasted < longStalls*after {
		return
	}
	// Listed first: between the two the coroutine must not ask in vain who it is.
	listDeposed(r)
	if !r.state.CompareAndSwap(word, word+1) {
		unlistDeposed(r)
		return
	}
	if co := r.co; co != nil && waits {
		m.count(co, now)
	}
	m.e.stats.handOvers.Add(1)
	w.startRunner()
}

// count notes that co was handed over, and demotes it when that happens too often. Only the monitor of the executor
// touches these fields.
func (m *monitor) count(co *Coroutine, now int64) {
	c := &m.e.config
	if now-co.stalledAt > int64(c.DemoteWindow) {
		co.stalls = 0
	}
	co.stalledAt = now
	co.stalls++
	if c.DemoteAfter > 0 && int(co.stalls) >= c.DemoteAfter {
		m.e.demote(co)
	}
}
