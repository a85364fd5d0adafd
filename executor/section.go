package executor

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Who owns a worker
//
// Worker.runner names the runner that the worker belongs to. Each runner has a state word, whose low bits say:
//
//	loop      it executes the executor's own code: it owns the worker and cannot be deposed
//	task      it executes user code: it may be deposed at any moment, and touches nothing of the worker
//	engine    user code is inside a section: it owns the worker as in loop
//	deposed   the worker belongs to another runner; final
//
//	loop ──run a task──▶ task ──Enter──▶ engine
//	  ▲                  │ │ ◀──Leave──    │
//	  └──task returned───┘ └──monitor──▶ deposed
//
// Only the goroutine that acts for the runner changes its state, but for the last edge, which is the monitor's. All
// edges out of task are compare-and-swaps, so a hand-over and an Enter, or a hand-over and the end of the task, never
// both succeed. The rest of the word counts the runner's tasks: the monitor sees by it whether two looks met the same.
//
// Who acts for the runner: in the loop state its own goroutine (own), otherwise the one that curG names: the coroutine's
// while one is resumed, its own while a Task runs. curG is written before the state is left for task, and is not
// restored at the end of the task (a store that others can see costs as much as a tenth of a resume): in the loop state it
// may name a coroutine that meanwhile runs elsewhere, or that has ended, and nobody may ask it. Outside the loop state it
// must never name a goroutine that has ended, since the runtime uses its record again: a coroutine clears it as the last
// thing that it does, and so does the runner.
const (
	stateLoop    uint64 = iota
	stateEngine         // one below stateTask: Enter subtracts one, Leave adds it
	stateTask           // one below stateDeposed
	stateDeposed        //
	stateMask    uint64 = 3
	stateTaskOne uint64 = 4 // one task in the count
)

// noG is no goroutine: neither an address nor what getg returns without a stub.
const noG = 1

// Section is the right to touch what a worker owns, from Enter to Leave. It must not be kept across a suspension.
type Section struct{ r *runner }

// Enter reports whether the calling goroutine is the one that runs w at this moment, and keeps it so until Leave. It
// is false on any other goroutine, on a coroutine that another worker has stolen, and after a hand-over; the caller
// then uses a Command or a way that needs no ownership. Sections nest, and in loop state Enter does nothing. A section
// must be short, must not block, and must not suspend.
func (w *Worker) Enter() (Section, bool) {
	r, g := w.runner.Load(), getg()
	s := r.state.Load()
	if s&stateMask == stateLoop {
		return Section{}, r.own.Load() == g
	}
	if r.curG.Load() != g {
		return Section{}, false
	}
	switch s & stateMask {
	case stateTask:
		if r.state.CompareAndSwap(s, s-1) {
			return Section{r}, true
		}
		return Section{}, false // deposed just now
	case stateDeposed:
		return Section{}, false
	}
	return Section{}, true
}

// actedBy reports whether the goroutine g, the caller's, acts for r. What it reads cannot change while that is so, but for
// a hand-over, after which it still acts for r.
func (r *runner) actedBy(g uintptr) bool {
	if r.state.Load()&stateMask == stateLoop {
		return r.own.Load() == g
	}
	return r.curG.Load() == g
}

// Leave ends the section. Only the goroutine that entered may call it, once.
func (s Section) Leave() {
	if s.r != nil {
		s.r.state.Add(1)
	}
}

// directory lists, for all executors of the process, where the calling goroutine's coroutine may be found: the live
// workers, and the runners that were deposed while a coroutine was on them.
var directory struct {
	mu      sync.Mutex // writers
	workers atomic.Pointer[[]*Worker]
	deposed atomic.Pointer[[]*runner]
}

func listWorkers(ws []*Worker) {
	directory.mu.Lock()
	defer directory.mu.Unlock()
	var old []*Worker
	if p := directory.workers.Load(); p != nil {
		old = *p
	}
	all := slices.Concat(old, ws)
	directory.workers.Store(&all)
}

func unlistWorkers(ws []*Worker) {
	directory.mu.Lock()
	defer directory.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(*directory.workers.Load()), func(w *Worker) bool { return slices.Contains(ws, w) })
	directory.workers.Store(&all)
}

func listDeposed(r *runner) {
	directory.mu.Lock()
	defer directory.mu.Unlock()
	var old []*runner
	if p := directory.deposed.Load(); p != nil {
		old = *p
	}
	all := slices.Concat(old, []*runner{r})
	directory.deposed.Store(&all)
}

func unlistDeposed(r *runner) {
	directory.mu.Lock()
	defer directory.mu.Unlock()
	p := directory.deposed.Load()
	if p == nil || !slices.Contains(*p, r) {
		return
	}
	all := slices.DeleteFunc(slices.Clone(*p), func(x *runner) bool { return x == r })
	if len(all) == 0 {
		directory.deposed.Store(nil) // the usual case costs one load
		return
	}
	directory.deposed.Store(&all)
}

// familiar counts, by a hash of what getg returns, the goroutines that may act for a runner: those of runners and of coroutines'
// stacks, from their first act on. So an ordinary goroutine mostly learns from one word that it acts for nobody, without a look
// at words that busy workers keep writing on other CPUs: with 1,000 coroutines in nine cases of ten, with 10,000 in three.
// Goroutines may share a count, and a stack that ends by runtime.Goexit or by a panic in Config.OnPanic leaves one behind; then
// the search is made in vain.
var familiar [8192]atomic.Int32

func familiarity(g uintptr) *atomic.Int32 {
	return &familiar[uint32(g>>5)*2654435769>>(32-13)] // Fibonacci hashing: 8192 is 1<<13
}

// currentRunner finds the runner that the calling goroutine acts for, nil when there is none. A deposed runner is
// listed before another takes its place, so looking at the workers first never misses it.
func currentRunner(near *Worker) *runner {
	if !haveGetg {
		return nil
	}
	g := getg()
	if near != nil {
		if r := near.runner.Load(); r.actedBy(g) {
			return r
		}
	}
	if familiarity(g).Load() == 0 {
		return nil
	}
	if p := directory.workers.Load(); p != nil {
		for _, w := range *p {
			if r := w.runner.Load(); r.actedBy(g) {
				return r
			}
		}
	}
	if p := directory.deposed.Load(); p != nil {
		for _, r := range *p {
			if r.actedBy(g) {
				return r
			}
		}
	}
	return nil
}

// MayWait reports whether the caller may wait: it is on a coroutine or an ordinary goroutine. In a Task, and in a handler of
// a completion, a command or a timer, waiting would hold the worker up, or never end. near may be nil; it saves a search for
// a caller that is on that worker.
func MayWait(near *Worker) bool {
	r := currentRunner(near)
	return r == nil || r.co != nil
}

// Current returns the coroutine that the caller runs on. It is nil on an ordinary goroutine, in callbacks, and on a
// coroutine that was demoted to an ordinary goroutine.
func Current() *Coroutine { return currentNear(nil) }

func currentNear(near *Worker) *Coroutine {
	r := currentRunner(near)
	if r == nil || r.co == nil || r.co.demoted.Load() {
		return nil
	}
	return r.co
}
