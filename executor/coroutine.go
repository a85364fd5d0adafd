package executor

import (
	"errors"
	"fmt"
	"log"
	"runtime"
	"runtime/debug"
	"sync/atomic"
)

var (
	// ErrShutdown means that the executor accepts no new work because Shutdown was called.
	ErrShutdown = errors.New("executor: shut down, new work is refused")
	// ErrQueueFull means that Config.InjectLimit coroutines wait for their worker: try again later, or raise it.
	ErrQueueFull = errors.New("executor: too many coroutines wait for this worker to start them (Config.InjectLimit)")
	// ErrGoexit is how a coroutine ended that called runtime.Goexit.
	ErrGoexit = errors.New("executor: the coroutine called runtime.Goexit")
)

// PanicError is a panic in user code.
type PanicError struct {
	// Value is what was passed to panic.
	Value any
	// Stack is the stack of the goroutine at the panic, as debug.Stack formats it.
	Stack []byte
}

func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Unwrap returns Value if it is an error.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Spawn describes a coroutine.
type Spawn struct {
	// Run is what the coroutine does. It must not be nil.
	Run func()
	// Exit is called last, on the coroutine, with how Run ended: nil, a *PanicError or ErrGoexit. It may be nil. It
	// must not suspend.
	Exit func(error)
	// Priority is the coroutine's.
	Priority Priority
	// Goroutine makes it an ordinary goroutine: for code that locks its thread or blocks all the time.
	Goroutine bool
	// Budget is how many operations that did not have to wait the coroutine may do in a row before it yields; see
	// Checkpoint. 0 means Config.CoroutineBudget, < 0 no limit.
	Budget int
}

// Coroutine is a function with a stack of its own that its home worker resumes. Its owner may embed it; the zero
// value is ready for Worker.Start, once.
//
// Life: started → resumed by a runner ⇄ suspended on a Waiter → ended. While it is resumed the runner in the field
// runner carries it, and curG of that runner is its goroutine. While it is suspended nobody touches it but who wakes
// it. A demoted one runs on a goroutine that waits for its end, and its Waiters park.
//
// A coroutine's idle stack should stay at the 2 KiB that a goroutine starts with, and about 1.1 KiB of that are
// usable. So the functions below and above the user's have small frames, and what is rare is in functions of its own.
// (The runtime may start all goroutines with more, when the average at the last collection was larger.)
type Coroutine struct {
	task   Task
	home   *Worker
	stack  *stack // from its first resume to its end
	runner *runner
	waiter *Waiter // what it suspended on; nil when it only yielded
	run    func()
	exit   func(error)
	budget int32
	spent  int32 // since it was resumed; the coroutine's own

	stalledAt int64 // the monitor's
	stalls    int32
	slow      slowness // the runner's that carries it
	demoted   atomic.Bool
	counted   bool // in Worker.starting
	returned  bool // Run returned
	ended     bool
}

// Home is the worker that co runs on whenever it was not stolen.
func (co *Coroutine) Home() *Worker { return co.home }

// Demoted reports whether co has become an ordinary goroutine.
func (co *Coroutine) Demoted() bool { return co.demoted.Load() }

// Go starts fn as a coroutine of w. It returns ErrShutdown or, when the caller is not the goroutine that runs w,
// ErrQueueFull.
func (w *Worker) Go(fn func()) error { return w.Start(new(Coroutine), Spawn{Run: fn}) }

// Start starts co, a zero Coroutine, as s says. Errors are as for Go; after one co may be used again.
func (w *Worker) Start(co *Coroutine, s Spawn) error {
	if s.Run == nil {
		panic("executor: Start without a function to run")
	}
	if s.Priority >= priorities {
		panic("executor: Start with an unknown Priority")
	}
	if co.home != nil {
		panic("executor: Start of a Coroutine that was started before")
	}
	e := w.e
	e.live.Add(1)
	if e.closing.Load() {
		e.coroutineEnded()
		return ErrShutdown
	}
	co.task.co, co.task.prio = co, s.Priority
	co.run, co.exit, co.budget = s.Run, s.Exit, e.budgetOf(s.Budget)
	if s.Goroutine || !haveGetg {
		co.home = w
		co.demoted.Store(true)
		w.carry(co)
		return nil
	}
	if sec, ok := w.Enter(); ok {
		co.home = w
		w.ready.push(&co.task)
		sec.Leave()
		return nil
	}
	if w.starting.Add(1) > int64(e.config.InjectLimit) {
		w.starting.Add(-1)
		e.coroutineEnded()
		return ErrQueueFull
	}
	co.home, co.counted = w, true
	if !w.injected.push(&co.task) {
		return ErrShutdown // cannot happen: live holds the worker
	}
	w.rouse()
	return nil
}

// body is a coroutine from its first resume to its end.
func (co *Coroutine) body() {
	defer co.finish()
	co.run()
	co.returned = true
}

// finish runs deferred, so that it sees a panic and a Goexit as well.
func (co *Coroutine) finish() {
	defer co.gone()
	if co.returned {
		if co.exit != nil {
			co.exit(nil)
		}
		return
	}
	co.failed(recover())
}

// gone is the last thing that co does. It contains a panic in the exit hook, here, where its stack can still be seen.
func (co *Coroutine) gone() {
	if p := recover(); p != nil {
		co.home.e.panicked(p, debug.Stack())
	}
	co.ended = true
	if co.runner != nil {
		co.runner.curG.Store(noG)
	}
}

//go:noinline
func (co *Coroutine) failed(p any) {
	e := co.home.e
	if p == nil {
		e.stats.goexits.Add(1)
		if co.exit != nil {
			co.exit(ErrGoexit)
		}
		return
	}
	if co.exit == nil {
		e.panicked(p, debug.Stack())
		return
	}
	e.stats.panics.Add(1)
	co.exit(&PanicError{Value: p, Stack: debug.Stack()})
}

// suspend gives the worker back until somebody wakes w; with nil, until its turn comes again.
func (co *Coroutine) suspend(w *Waiter) {
	co.mayYield()
	co.waiter = w
	co.stack.yield(struct{}{})
}

// mayYield panics where co must not suspend.
func (co *Coroutine) mayYield() {
	if co.runner.state.Load()&stateMask == stateEngine {
		suspendedInside()
	}
}

//go:noinline
func suspendedInside() { panic("executor: suspended inside a section: call Section.Leave first") }

// commit is what the runner does when co has come back: from here on co belongs to whoever wakes it.
func (co *Coroutine) commit(e *Executor) {
	w := co.waiter
	switch {
	case co.ended:
		e.coroutineEnded()
	case w == nil:
		// It yielded: to everything that is ready, and to what the next poll delivers. So it is not ready before
		// the next turn.
		co.home.inject(&co.task)
	case !w.state.CompareAndSwap(waiterArmed, waiterAsleep):
		co.home.enqueue(&co.task) // it was woken while it still ran
	}
}

// carry runs a demoted coroutine on a goroutine of its own until it ends.
func (w *Worker) carry(co *Coroutine) {
	e := w.e
	e.runners.add(1)
	go func() {
		defer e.runners.add(-1)
		defer e.coroutineEnded()
		defer func() {
			if p := recover(); p != nil { // in OnPanic
				e.panicked(p, debug.Stack())
			}
		}()
		co.runner = nil
		if s := co.stack; s != nil {
			if _, alive := s.next(); alive {
				s.stop()
			}
			return
		}
		if co.counted {
			co.home.starting.Add(-1)
		}
		defer co.finish()
		co.run()
		co.returned = true
	}()
}

// Yield lets the other ready tasks of the worker, and what its next poll delivers, run first. Outside coroutines it is
// runtime.Gosched.
func Yield() {
	if co := Current(); co != nil {
		co.suspend(nil)
		return
	}
	runtime.Gosched()
}

// panicked reports a panic that no exit hook is told of.
func (e *Executor) panicked(p any, stack []byte) {
	e.stats.panics.Add(1)
	err := &PanicError{Value: p, Stack: stack}
	if e.config.OnPanic != nil {
		e.config.OnPanic(err)
		return
	}
	log.Printf("executor: %v\n%s", err, stack)
}
