package executor

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// A runner is a goroutine that drives a worker. section.go tells its states.
//
// It ends in one of three ways. Its worker stops. It is deposed: when the task comes back to it, it commits the
// suspension of the coroutine that it carried and touches nothing else. Or user code ended it (runtime.Goexit in a
// coroutine also ends the goroutine that resumed it, and a panic in a Task unwinds it): then its deferred function
// settles the task and, unless it was deposed, starts a fresh runner for the worker.
type runner struct {
	state atomic.Uint64
	own   atomic.Uintptr // its goroutine
	curG  atomic.Uintptr // what acts for it outside the loop state
	w     *Worker

	// Touched by the goroutine that acts for the runner. The monitor reads co after it has deposed the runner, which
	// never writes it again.
	co       *Coroutine // resumed now
	task     *Task      // run now, when it is not a coroutine's
	count    uint64     // tasks run, in stateTaskOne
	woke     int        // ordinary goroutines that it made runnable since it last let them run
	busy     int        // turns since it slept or gave way
	finished bool
}

// yieldEvery is the number of turns without a sleep after which a runner gives way to ordinary goroutines.
const yieldEvery = 16

// startRunner gives w to a new runner. The caller owns w, or has just deposed its runner.
func (w *Worker) startRunner() {
	r := &runner{w: w}
	r.own.Store(noG)
	r.curG.Store(noG)
	w.e.runners.add(1)
	w.runner.Store(r)
	go r.run()
}

func (r *runner) run() {
	if g := getg(); g != 0 {
		familiarity(g).Add(1)
		r.own.Store(g)
	}
	defer r.end()
	r.loop()
	r.finished = true
}

// end runs when the goroutine of the runner ends, however that happens.
func (r *runner) end() {
	if !r.finished {
		r.interrupted(recover())
	}
	r.curG.Store(noG)
	r.own.Store(noG)
	if g := getg(); g != 0 {
		familiarity(g).Add(-1)
	}
	r.w.e.runners.add(-1)
}

// interrupted settles what a panic (p) or a Goexit (p is nil) in a task left behind.
func (r *runner) interrupted(p any) {
	w := r.w
	if p != nil && r.state.Load()&stateMask == stateLoop {
		// Not user code: the state of the worker cannot be trusted. The trace still shows where it happened.
		panic(p)
	}
	r.actItself()
	switch {
	case r.co != nil:
		// Its own deferred functions have told of a Goexit and of panics; only one in OnPanic comes here.
		if p != nil {
			w.e.panicked(p, debug.Stack())
		}
		w.e.coroutineEnded()
	case r.task != nil:
		if p != nil {
			w.e.panicked(p, debug.Stack())
		} else {
			w.e.stats.goexits.Add(1)
		}
		if t := r.task; t.ran() {
			w.enqueue(t)
		}
	}
	if r.backToLoop() {
		w.startRunner()
	} else {
		unlistDeposed(r)
	}
}

// actItself notes that the goroutine of r acts for it, not a coroutine's.
func (r *runner) actItself() {
	if g := r.own.Load(); r.curG.Load() != g {
		r.curG.Store(g)
	}
}

// backToLoop ends the task state. It reports false when the runner was deposed.
func (r *runner) backToLoop() bool {
	if r.state.CompareAndSwap(r.count+stateTask, r.count+stateLoop) {
		return true
	}
	if r.state.Load()&stateMask == stateDeposed {
		return false
	}
	// loop: Goexit in the executor's own code; engine: a panic left a section without Leave.
	r.state.Store(r.count + stateLoop)
	return true
}

// loop runs turns until the worker stops or the runner is deposed.
//
// A turn: commands, what was injected (by others, or by a coroutine that yields), ready tasks up to the budget, the commands
// that they sent, timers, poll. The poll waits only when nothing is ready, nothing was left and nothing can be stolen.
func (r *runner) loop() {
	w := r.w
	for {
		w.turns++
		w.stats.turns.Store(w.turns)
		w.now.Store(0)
		w.runCommands()
		w.takeInjected()
		if !w.ready.empty() && !r.runTasks() {
			unlistDeposed(r)
			return
		}
		if !w.sent.empty() {
			w.runCommands() // of the tasks: what they submit still leaves with this turn's system call
		}
		w.fireTimers()
		if w.e.steals && w.overloaded.Load() && w.ready.empty() {
			w.settleDown()
		}
		switch {
		case w.stop.Load() && w.finish():
			w.dropStacks()
			return
		case !w.ready.empty() || w.left() || w.steal():
			// left: what was submitted must start even if others never stop leaving something.
			w.poll(0)
			if r.busy++; r.woke > 0 || r.busy >= yieldEvery {
				r.giveWay()
			}
		case r.woke > 0:
			r.giveWay() // and look again: they may have left something
		default:
			r.busy = 0
			w.sleep()
		}
	}
}

// schedTick is how often the Go scheduler looks at the global queue first, where Gosched puts the runner.
const schedTick = 61

// giveWay lets ordinary goroutines run. Those that the runner made runnable wait for its P, which it would take into
// the system call that it waits in; and a worker that is never idle would keep the P until the runtime interferes,
// which it does every 10 ms. One Gosched is not enough, as the scheduler may pick the runner again before them.
func (r *runner) giveWay() {
	n := 1
	if r.woke > 0 {
		n = r.woke/schedTick + 2
	}
	r.woke, r.busy = 0, 0
	for ; n > 0; n-- {
		runtime.Gosched()
	}
}

// runCommands runs what was sent until now, or the rest of an interrupted list.
func (w *Worker) runCommands() {
	if w.commands == nil {
		w.commands = w.sent.takeAll()
	}
	for w.commands != nil {
		c := w.commands
		w.commands, c.next = c.next, nil
		c.queued.Store(false)
		c.h.OnCommand(w, c)
	}
}

func (w *Worker) takeInjected() {
	for t := w.injected.takeAll(); t != nil; {
		next := t.next
		t.next = nil
		w.ready.push(t)
		t = next
	}
}

// sleep polls until there is something to do.
func (w *Worker) sleep() {
	w.sleeping.Store(1)
	wait := time.Duration(-1)
	if next := w.timers.next.Load(); next != never {
		wait = max(0, time.Duration(next-w.e.clock.Now()))
	}
	if wait == 0 || w.left() {
		w.sleeping.Store(0) // no sleep after all
		wait = 0
	}
	w.poll(wait)
	if w.sleeping.Load() != 0 {
		w.sleeping.Store(0)
	}
	w.e.monitor.stir()
}

// runTasks runs ready tasks up to the budget. It reports false when the runner was deposed.
func (r *runner) runTasks() bool {
	w := r.w
	budget := w.e.config.TaskBudget
	shares, looks := w.e.steals, w.e.slowAfter > 0
	var since int64 // when the tasks began that are timed together: all but the first from
	from := 0
	if looks && (w.timed > 0 || w.watched.Load()) || (looks || shares) && w.ready.len() > 1 {
		since = w.e.clock.Now()
	}
	n := 0
	for n < budget {
		t := w.ready.pick()
		if t == nil {
			break
		}
		n++
		w.tasks++
		r.count += stateTaskOne
		if t.co != nil {
			if !r.resume(t.co) {
				return false
			}
		} else if !r.runTask(t) {
			return false
		}
		// Looking at the clock after tasks 1, 2, 4, 8 … finds a slow task early and costs little with quick ones. What was
		// alone at first may have made others ready: they are timed from the first look that finds them.
		if (looks || shares) && n&(n-1) == 0 && !w.ready.empty() {
			if since == 0 {
				since, from = w.e.clock.Now(), n
			} else if shares {
				w.overload(since, n-from)
			}
		}
	}
	if since != 0 && looks {
		w.lookBack(since, n-from)
	}
	w.stats.tasks.Store(w.tasks)
	return true
}

func (r *runner) runTask(t *Task) bool {
	r.task = t
	r.actItself()
	t.state.Store(taskRunning)
	r.state.Store(r.count + stateTask)
	t.run.RunTask(r.w, t)
	owner := r.backToLoop()
	if t.ran() {
		r.w.enqueue(t)
	}
	if owner {
		r.task = nil
	}
	return owner
}

// resume runs co until it suspends or ends, and commits the suspension: only now, when the coroutine no longer runs,
// may somebody else resume it. It reports false when the runner was deposed.
func (r *runner) resume(co *Coroutine) bool {
	if co.demoted.Load() {
		r.w.carry(co)
		return true
	}
	s := co.stack
	if s == nil {
		s = r.w.takeStack(co)
	}
	r.co = co
	co.runner, co.spent = r, 0
	if s.g == 0 {
		r.actItself() // until it has told who it is
	} else if r.curG.Load() != s.g {
		r.curG.Store(s.g)
	}
	var began int64
	if r.w.timed > 0 {
		began = r.w.e.clock.Now()
	}
	r.state.Store(r.count + stateTask)
	s.next()
	owner := r.backToLoop()
	if owner {
		r.co = nil
		if began != 0 && !co.ended {
			r.w.weigh(co, began)
		}
	} else {
		r.actItself()
	}
	if co.ended {
		r.w.giveStack(s, owner)
	}
	co.commit(r.w.e)
	return owner
}
