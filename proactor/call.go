//go:build linux

package proactor

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/op"
)

// Call is a set of operations that are handed to a backend together, in one system call, and whose caller waits until
// all of them have ended. Package file makes its reads and writes with it.
//
//	idle ──Do──▶ sent (a command, unless the caller is on the worker) ──▶ in flight ──last terminal completion──▶ idle
//
// Owners. From Do to its return Ops and what they point to are the worker's, and then the caller's again: Do returns when
// the last operation has ended, also when ctx ends before that. Results belong to the worker in between as well.
// Only one Do at a time. A Call may be used again, unless its context ended meanwhile.
//
// A Call whose backend broke in between is not to be used again (Do says so by ErrBroken): the kernel may still work on
// the memory.
type Call struct {
	// Ops are the operations; Do sets their Done.
	Ops []op.Op
	// Results has the outcome of each.
	Results []Result

	loop      *loop
	cmd       executor.Command
	wait      executor.Waiter
	left      int // operations in flight; of the worker, like what follows
	started   bool
	err       error
	prev      *Call
	next      *Call
	cancelled atomic.Bool
}

// Result is how an operation ended: a count, or an errno.
type Result struct {
	N     int32
	Errno syscall.Errno
}

var calls = sync.Pool{New: func() any {
	c := new(Call)
	c.cmd.Init(c)
	return c
}}

// NewCall returns a Call for n operations. Free takes it back.
func NewCall(n int) *Call {
	c := calls.Get().(*Call)
	if cap(c.Ops) < n {
		c.Ops, c.Results = make([]op.Op, n), make([]Result, n)
	}
	c.Ops, c.Results = c.Ops[:n], c.Results[:n]
	return c
}

// Free gives c back. It must not be used any more, and no Do of it may have returned ErrBroken.
func (c *Call) Free() {
	if c.cancelled.Load() {
		return // a late cancel may still be on its way
	}
	if c.loop != nil && !c.loop.engine.direct {
		return // a simulation keeps nothing for the next: what a Waiter parks on is its own
	}
	for i := range c.Ops {
		c.Ops[i] = op.Op{}
		c.Results[i] = Result{}
	}
	calls.Put(c)
}

// Do performs c on a worker of e: on the caller's own where the caller is a coroutine of e, else on the next in turn. It
// waits until all operations have ended; when ctx ends it cancels them, and waits still, for what the kernel cannot
// stop any more. The operations' errors are in Results; Do's own (ErrShutdown, ErrBroken) mean that nothing was done,
// or nothing is known.
func (e *Engine) Do(ctx context.Context, c *Call) error {
	c.loop = e.loopFor()
	return c.do(ctx)
}

// loopFor picks the worker for the caller.
func (e *Engine) loopFor() *loop {
	if co := executor.Current(); co != nil && co.Home().Executor() == e.ex {
		return co.Home().Driver().(*loop)
	}
	if len(e.loops) == 1 {
		return e.loops[0]
	}
	return e.loops[int(e.turn.Add(1))%len(e.loops)]
}

// EngineOf returns the engine of the coroutine that the caller runs on, nil on ordinary goroutines and on coroutines of
// other executors.
func EngineOf(co *executor.Coroutine) *Engine {
	if co == nil {
		return nil
	}
	if l, ok := co.Home().Driver().(*loop); ok {
		return l.engine
	}
	return nil
}

func (c *Call) do(ctx context.Context) error {
	c.started, c.err, c.left = false, nil, 0
	c.wait.PrepareNear(c.loop.w)
	stop := func() bool { return true }
	switch {
	case ctx.Done() == nil:
	case ctx.Err() != nil:
		c.cancelled.Store(true) // nothing is submitted, and AfterFunc's goroutine would find nothing to end
	default:
		stop = context.AfterFunc(ctx, c.cancel)
	}
	told := true
	if s, ok := c.loop.w.Enter(); ok {
		c.start()
		s.Leave()
	} else {
		told = c.loop.w.Command(&c.cmd)
	}
	if told {
		c.wait.Wait()
	} else {
		c.wait.Disarm()
		c.err = ErrShutdown
	}
	if !stop() {
		c.cancelled.Store(true) // it may come at any time now
	}
	return c.err
}

// cancel asks for the end of what is in flight. Any goroutine.
func (c *Call) cancel() {
	c.cancelled.Store(true)
	c.loop.w.Command(&c.cmd)
}

// OnCommand is called on the worker: to start, and to cancel.
func (c *Call) OnCommand(*executor.Worker, *executor.Command) {
	if !c.started {
		c.start()
		return
	}
	c.stopAll()
}

// start submits everything. The worker is owned.
func (c *Call) start() {
	if c.started {
		return
	}
	c.started = true
	l := c.loop
	if l.broken.Load() {
		c.err = ErrBroken
		c.wait.Wake()
		return
	}
	l.addCall(c)
	c.left = 1 // so that nobody is woken in between
	for i := range c.Ops {
		o := &c.Ops[i]
		o.Done = c
		if c.cancelled.Load() {
			c.Results[i] = Result{Errno: syscall.ECANCELED}
		} else if err := l.backend.Submit(o); err != nil {
			c.Results[i] = Result{Errno: syscall.EIO}
			c.err = err
		} else {
			c.left++
		}
	}
	c.ended()
}

// stopAll cancels what is in flight. The worker is owned.
func (c *Call) stopAll() {
	if c.left == 0 || !c.cancelled.Load() {
		return
	}
	for i := range c.Ops {
		if o := &c.Ops[i]; o.InFlight() {
			c.loop.backend.Cancel(o)
		}
	}
}

// ended counts one operation off.
func (c *Call) ended() {
	if c.left--; c.left == 0 {
		c.loop.removeCall(c)
		c.wait.Wake()
	}
}

// Complete is told by the backend, in loop state.
func (c *Call) Complete(o *op.Op, r *op.Completion) {
	if c.left == 0 {
		return // the backend broke, and delivers after all
	}
	if o.Again(r) && !c.cancelled.Load() {
		if c.loop.backend.Submit(o) == nil {
			return
		}
		r.Errno = syscall.EIO
	}
	c.Results[c.index(o)] = Result{N: r.Result, Errno: r.Errno}
	c.ended()
}

// broke ends c for the caller; the kernel may go on with it.
func (c *Call) broke() {
	if c.left > 0 {
		c.left, c.err = 0, ErrBroken
		c.wait.Wake()
	}
}

// addCall and removeCall keep the list of calls in flight, for broke. The worker is owned.
func (l *loop) addCall(c *Call) {
	c.prev, c.next = nil, l.calls
	if l.calls != nil {
		l.calls.prev = c
	}
	l.calls = c
}

func (l *loop) removeCall(c *Call) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.calls = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// brokeCalls ends the calls in flight.
func (l *loop) brokeCalls() {
	for c := l.calls; c != nil; {
		next := c.next
		l.removeCall(c)
		c.broke()
		c = next
	}
}
