package actor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/future"
)

// cell is the part of an actor that does not depend on the type of its messages.
//
// An actor is one coroutine, which alone touches the fields below "the actor's own". Everybody else leaves something for it
// under mu (a message, a note) and wakes it if it waits. So messages are handled one at a time without further ado.
//
//	starting ──New──▶ running ──stop, or drained──▶ ending (children first) ──▶ ended
//	    │               │ ▲                              ▲
//	    └──failed──▶ suspended ──restart (children first), resume
//	                    └──────────stop──────────────────┘
//
// While an actor is suspended or ending it handles notes only. A failed one is suspended until its parent decides. One that
// drains runs until nothing waits, and is ending from then on; it judges its children all the while, since they still handle
// what waits for them. One that stops, or waits for its children's end to begin anew, judges them no more.
//
// Notes come before messages. They are few: a stop and a drain, one failure and one end per child, one verdict per
// failure; so their queue is bounded by the number of children. mu of a child is never held while that of another cell is
// taken.
type cell struct {
	system      *System
	parent      *cell
	name, path  string
	supervision Supervision
	ctx         context.Context
	cancel      context.CancelFunc
	body        body
	home        *executor.Worker
	end         future.Promise[struct{}]

	older, younger *cell // siblings; under the parent's mu

	mu      sync.Mutex
	notes   []note
	noted   atomic.Bool // notes is not empty
	waiting bool
	waiter  executor.Waiter
	closed  bool // refuses messages
	// restarting: no sender waits for room. The actor alone writes it.
	restarting bool
	watchers   map[*watch]struct{}
	watching   map[*watch]*cell // until the message is handled; nil for one elsewhere
	asks       map[failer]struct{}
	children   siblings
	barren     bool // takes no more children

	// The actor's own.
	suspended bool
	failed    *failure // its last, until that is decided about
	draining  bool
	ending    bool
	stopping  bool // ending by a stop, or by a drain that has become one
	ended     bool
	then      func() // what to do once the last child has ended
	unborn    bool   // New has not succeeded: there is no state
	tries     int    // calls of New since one has succeeded
	restarts  []time.Time
	failures  int // restarts without a pause, for the backoff
}

// body is the part that does.
type body interface {
	create() error  // runs New
	discard()       // what is left in the mailbox is a dead letter
	stopped()       // calls the hook
	dropTimers()    // none fires any more
	idle() bool     // no message waits
	freed() *sender // takes those that wait for room out; mu is held
}

type noteKind uint8

const (
	noteStop noteKind = iota
	noteDrain
	noteFailed  // failure
	noteEnded   // child
	noteRestart // verdict
	noteResume  // verdict, failure
)

type note struct {
	kind    noteKind
	child   *cell
	failure *failure
}

// failer is an Ask that waits for its answer.
type failer interface{ fail(error) }

// send leaves a note.
func (c *cell) send(n note) {
	c.mu.Lock()
	c.notes = append(c.notes, n)
	c.noted.Store(true)
	c.rouse()
}

// rouse wakes the actor if it waits. mu is held, and given back.
func (c *cell) rouse() {
	wake := c.waiting
	c.waiting = false
	c.mu.Unlock()
	if wake {
		c.waiter.Wake()
	}
}

// handleNotes handles the notes that there are.
func (c *cell) handleNotes() {
	for !c.ended {
		c.mu.Lock()
		if len(c.notes) == 0 {
			c.noted.Store(false)
			c.mu.Unlock()
			return
		}
		n := c.notes[0]
		c.notes = c.notes[1:]
		c.mu.Unlock()
		c.handle(n)
	}
}

func (c *cell) handle(n note) {
	switch n.kind {
	case noteStop:
		c.stop()
	case noteDrain:
		c.close()
		c.draining = true
	case noteFailed:
		if c.stopping || c.restarting {
			n.failure.of.halt() // it has been told to stop, or is about to be
			return
		}
		c.judge(n.failure)
	case noteEnded:
		c.mu.Lock()
		c.children.remove(n.child)
		last := c.children.first == nil
		c.mu.Unlock()
		if then := c.then; last && then != nil {
			c.then = nil
			then()
		}
	case noteRestart:
		c.beginAnew()
	case noteResume:
		c.resume(n.failure)
	}
}

// triesInDrain is how often New may fail in a row while the actor drains. No limit of restarts need hold, and a drain ends.
const triesInDrain = 10

// beginAnew handles the verdict of a restart. Where a drain has left nothing to handle, a new state would be for nothing.
func (c *cell) beginAnew() {
	if c.ending || c.draining && c.body.idle() {
		c.stop()
		return
	}
	if c.draining && c.tries >= triesInDrain && c.failed != nil {
		c.system.gaveUp(c, fmt.Errorf("it drains, and New has failed %d times: %w", c.tries, c.failed.err))
		c.stop()
		return
	}
	c.system.restarts.Add(1)
	c.suspended = true
	c.failed = nil
	c.restarts = nil // it begins anew with its children too
	c.body.dropTimers()
	c.dropWatches()
	c.hurry(true)
	c.withoutChildren((*cell).halt, c.create)
}

// create makes the actor's state, anew after a failure.
func (c *cell) create() {
	c.suspended = false
	if c.restarting {
		c.hurry(false)
	}
	c.tries++
	c.unborn = true
	if err := c.body.create(); err != nil {
		c.fail(err)
		return
	}
	c.unborn = false
	c.tries = 0
}

// family returns the children of the moment.
func (c *cell) family() []*cell {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.children.list()
}

// withoutChildren calls end for each child and, once the last has ended, f.
func (c *cell) withoutChildren(end func(*cell), f func()) {
	children := c.family()
	if len(children) == 0 {
		f()
		return
	}
	c.then = f
	for _, x := range children {
		end(x)
	}
}

// halt asks for the end from outside, of c and all below: what their handlers wait for by their contexts ends too. The
// notes come first, so that whoever is woken by its context handles no further message.
func (c *cell) halt() {
	c.tellStop()
	c.cancel()
}

func (c *cell) tellStop() {
	c.send(note{kind: noteStop})
	for _, x := range c.family() {
		x.tellStop()
	}
}

// close refuses messages from now on, also those of senders that wait for room: one of them may be a child, whose end is
// waited for.
func (c *cell) close() {
	c.mu.Lock()
	c.closed = true
	w := c.body.freed()
	c.mu.Unlock()
	wakeAll(w)
}

// takeNoMore refuses children from now on. Until then also one that drains takes them: its messages, and New after a restart,
// may need them.
func (c *cell) takeNoMore() {
	c.mu.Lock()
	c.barren = true
	c.mu.Unlock()
}

// hurry sets whether senders wait for room. They do not while a restart waits for the children, one of which may be the
// sender.
func (c *cell) hurry(on bool) {
	c.mu.Lock()
	c.restarting = on
	w := c.body.freed()
	c.mu.Unlock()
	wakeAll(w)
}

func (c *cell) stop() {
	c.stopping = true
	if c.ending {
		for _, x := range c.family() { // a drain that has become a stop
			x.halt()
		}
		return
	}
	c.ending = true
	c.close()
	c.takeNoMore()
	c.withoutChildren((*cell).halt, c.finish)
}

// drained is called when draining finds nothing left to handle: now the children drain, and then it ends.
func (c *cell) drained() {
	c.ending = true
	c.takeNoMore()
	c.withoutChildren(func(x *cell) { x.send(note{kind: noteDrain}) }, c.finish)
}

// finish is the end of the actor.
func (c *cell) finish() {
	c.ended = true
	c.body.dropTimers()
	c.dropWatches()
	defer c.gone() // also when the hook calls runtime.Goexit
	c.body.stopped()
}

// gone tells everybody of the end.
func (c *cell) gone() {
	c.body.dropTimers() // those that the hook has set
	c.dropWatches()
	c.cancel()
	c.mu.Lock()
	c.closed, c.barren = true, true
	asks, watchers := c.asks, c.watchers
	c.asks, c.watchers = nil, nil
	c.mu.Unlock()
	c.body.discard()
	for a := range asks {
		a.fail(c.stoppedError())
	}
	c.system.forget(c)
	for w := range watchers {
		w.tell()
	}
	if c.parent != nil {
		c.parent.send(note{kind: noteEnded, child: c})
	}
	c.end.Resolve(struct{}{})
}

// ErrStopped means that the actor has stopped, or is about to.
var ErrStopped = errors.New("actor: stopped")

func (c *cell) stoppedError() error {
	if c.parent == nil {
		return fmt.Errorf("%w: the system", ErrStopped)
	}
	return fmt.Errorf("%w: %s", ErrStopped, c.path)
}
