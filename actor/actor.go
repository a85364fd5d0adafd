package actor

import (
	"context"
	"errors"
	"fmt"
	"log"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/future"
)

// Behavior handles one message. It is never called for two messages of an actor at the same time. An error or a panic is a
// failure, which the parent's Supervision decides about. It may wait: the coroutine suspends, and messages gather.
type Behavior[M any] func(c *Context[M], m M) error

// Overflow is what a Tell does that finds the mailbox full.
type Overflow uint8

const (
	// Reject returns ErrMailboxFull, and the message is a dead letter.
	Reject Overflow = iota
	// Wait suspends the sender until there is room: backpressure. Actors that wait for each other in a circle wait for ever.
	// While a restart waits for the actor's children, which may be the senders, it is Reject.
	Wait
	// DropNewest makes the message a dead letter. Tell reports nothing, Deliver does.
	DropNewest
	// DropOldest makes room: the oldest message in the mailbox becomes a dead letter.
	DropOldest
)

// Props describe an actor. Only New is needed.
type Props[M any] struct {
	// Name is unique among the children of one parent; "" means one that is made up. It must not contain "/".
	Name string
	// New makes the actor's state and returns its first behavior. It runs on the actor, at its start and at each restart.
	// An error is a failure.
	New func(c *Context[M]) (Behavior[M], error)
	// Stopped, if set, is called on the actor as its last act, with what New and the behaviors have left.
	Stopped func(c *Context[M])
	// Mailbox is how many messages may wait; 0 means 1024. Up to 16 more may have been taken out to be handled next.
	Mailbox int
	// Overflow is what happens to more.
	Overflow Overflow
	// Supervision is for the actor's children.
	Supervision Supervision
	// Priority is that of the actor's coroutine.
	Priority executor.Priority
}

// ErrMailboxFull means that Props.Mailbox messages wait for the actor.
var ErrMailboxFull = errors.New("actor: the mailbox is full")

// ErrName means that a name is taken or cannot be one.
var ErrName = errors.New("actor: bad name")

// Parent can have children: a *System, or the *Context of an actor, which may be used on that actor only.
type Parent interface{ parentCell() *cell }

// Spawn starts an actor. It fails when the props make no sense, the name is taken, the parent has been stopped or waits for
// its children to drain, or the executor takes no more coroutines. New runs later, on the actor; its failure is the parent's matter.
func Spawn[M any](parent Parent, p Props[M]) (Ref[M], error) {
	up := parent.parentCell()
	if p.New == nil {
		return Ref[M]{}, errors.New("actor: Props.New is missing")
	}
	if p.Mailbox == 0 {
		p.Mailbox = 1024
	}
	if p.Mailbox < 0 || p.Overflow > DropOldest {
		return Ref[M]{}, fmt.Errorf("actor: Props.Mailbox is %d and Overflow %d", p.Mailbox, p.Overflow)
	}
	if err := p.Supervision.fill(); err != nil {
		return Ref[M]{}, err
	}
	if strings.Contains(p.Name, "/") {
		return Ref[M]{}, fmt.Errorf("%w: %q contains a slash", ErrName, p.Name)
	}
	a := &actor[M]{props: p}
	a.c = Context[M]{a}
	a.bound = p.Mailbox
	a.body = a
	a.supervision = p.Supervision
	if err := up.system.adopt(up, &a.cell, p.Name); err != nil {
		return Ref[M]{}, err
	}
	if err := a.launch(false); err != nil {
		up.system.disown(&a.cell)
		return Ref[M]{}, fmt.Errorf("actor: %s was not started: %w", a.path, err)
	}
	return Ref[M]{a}, nil
}

// actor is a cell with its mailbox and behavior.
type actor[M any] struct {
	cell
	mailbox[M]
	props    Props[M]
	c        Context[M]
	behavior Behavior[M]

	batch    [batchSize]M // taken out of the mailbox
	next, nb int
	skips    [batchSize]func() bool // of the first ne in batch, which are extras
	ne       int
}

const batchSize = 16

func (a *actor[M]) launch(resumed bool) error {
	return a.home.Start(new(executor.Coroutine), executor.Spawn{
		Run:      func() { a.run(resumed) },
		Exit:     a.exited,
		Priority: a.props.Priority,
	})
}

// exited is told how the coroutine has ended. When a handler has called runtime.Goexit the actor fails, and lives on as
// another coroutine.
func (a *actor[M]) exited(how error) {
	if how == nil || a.ended {
		return
	}
	a.fail(how)
	if err := a.launch(true); err != nil {
		a.ending, a.stopping = true, true
		a.finish()
	}
}

// run is the actor's coroutine.
func (a *actor[M]) run(resumed bool) {
	if !resumed {
		a.cell.create()
	}
	for !a.ended {
		switch {
		case a.noted.Load():
			a.handleNotes()
		case a.suspended || a.ending:
			a.await(false)
		case a.nb > a.next:
			a.work()
			executor.Checkpoint(a.next) // a mailbox that never runs dry must not keep the worker
		case a.await(true):
		case a.draining:
			a.drained()
		}
	}
}

// await waits for notes, and for messages if wanted. It reports false when a drain has nothing left to wait for.
func (a *actor[M]) await(messages bool) bool {
	a.mu.Lock()
	for {
		if len(a.notes) > 0 {
			a.mu.Unlock()
			return true
		}
		if messages {
			if a.refill() > 0 {
				w := a.freed()
				a.mu.Unlock()
				wakeAll(w)
				return true
			}
			if a.draining {
				a.mu.Unlock()
				return false
			}
		}
		a.waiter.PrepareNear(a.home)
		a.waiting = true
		a.mu.Unlock()
		a.waiter.Wait()
		a.mu.Lock()
	}
}

// work handles what was taken out, until a note comes or it fails. One deferred function for all of it is what makes a
// message cheap.
func (a *actor[M]) work() {
	returned := false
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			a.fail(&executor.PanicError{Value: p, Stack: debug.Stack()})
		} // else Goexit: see exited
	}()
	var none M
	for a.next < a.nb {
		m := a.batch[a.next]
		a.batch[a.next] = none
		a.next++
		if a.next <= a.ne && a.takenBack(a.next-1) {
			continue
		}
		if err := a.behavior(&a.c, m); err != nil {
			returned = true
			a.fail(err)
			return
		}
		if a.noted.Load() {
			break
		}
	}
	returned = true
}

// create runs New.
func (a *actor[M]) create() (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			err = &executor.PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	b, err := a.props.New(&a.c)
	returned = true
	if err == nil && b == nil {
		err = errors.New("actor: New returned no behavior")
	}
	a.behavior = b
	return err
}

func (a *actor[M]) stopped() {
	if a.props.Stopped == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			a.system.gaveUp(&a.cell, &executor.PanicError{Value: p, Stack: debug.Stack()})
		}
	}()
	a.props.Stopped(&a.c)
}

// discard makes dead letters of what is left, but for what may be taken back, as nobody has sent that.
func (a *actor[M]) discard() {
	why := a.stoppedError()
	for {
		for ; a.next < a.nb; a.next++ {
			if a.next >= a.ne || a.skips[a.next] == nil {
				a.system.deadLetter(a.path, a.batch[a.next], why)
			}
		}
		a.mu.Lock()
		n := a.refill()
		w := a.freed()
		a.mu.Unlock()
		wakeAll(w)
		if n == 0 {
			return
		}
	}
}

// Context is what a behavior knows of its actor. It may be used on the actor only, except for Self, Context and System.
type Context[M any] struct{ a *actor[M] }

func (c *Context[M]) parentCell() *cell { return &c.a.cell }

// Self is the actor's own address.
func (c *Context[M]) Self() Ref[M] { return Ref[M]{c.a} }

// Context ends when the actor is told to stop, or has stopped: for operations that a behavior waits for.
func (c *Context[M]) Context() context.Context { return c.a.ctx }

// System is the system that the actor is part of.
func (c *Context[M]) System() *System { return c.a.system }

// Become has b handle the messages from the next one on.
func (c *Context[M]) Become(b Behavior[M]) {
	if b == nil {
		panic("actor: Become nil")
	}
	c.a.behavior = b
}

// Stop ends the actor after the present message; Context ends now, and with it those of the children. Messages that wait
// become dead letters.
func (c *Context[M]) Stop() { c.a.halt() }

// Drain ends the actor after the messages that wait now.
func (c *Context[M]) Drain() { c.a.send(note{kind: noteDrain}) }

// After has the actor told m once, after d; stop prevents that, as long as m is not being handled. Timers end with the actor and with a restart.
func (c *Context[M]) After(d time.Duration, m M) (stop func()) { return c.a.timer(d, 0, m) }

// Every has the actor told m every d, until stop. When the actor is late, ticks are left out. d must be positive.
func (c *Context[M]) Every(d time.Duration, m M) (stop func()) {
	if d <= 0 {
		panic("actor: Every needs a positive interval")
	}
	return c.a.timer(d, d, m)
}

// Pipe has the actor told, once f has settled, the message that build makes of its result, so that the actor need not await it
// and handles other messages meanwhile. The message does not count in the mailbox, so the actor bounds how many it has piped;
// after a restart it still comes, and once the actor has been told to stop or to drain it is a dead letter. build runs on
// whichever goroutine settles f, or at once when it has settled: it should be short and touch nothing of the actor's state.
// When it panics there is no message, which is logged. Cancel f, or give its operation Context(), to have it end with the
// actor.
func Pipe[M, R any](c *Context[M], f *future.Future[R], build func(R, error) M) {
	a := c.a
	tell := func(rs []future.Result[R]) (none struct{}) {
		a.pipe(build(rs[0].Value, rs[0].Err))
		return none
	}
	future.Map(future.AllSettled(f), tell).Recover(func(err error) (none struct{}, _ error) {
		log.Printf("actor: %s is not told of a future by Pipe: %v", a.path, err)
		return none, nil
	})
}
