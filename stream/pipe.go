package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/routine"
)

// pipe carries values from parts of a stream that run on their own to the one that runs the stream. It is what every
// operator with something concurrent stands on, and it holds the rules of Stream for them.
//
// Owners and states
//
//	parts:     started by start, counted in running; each calls put until that says false, and done last
//	consumer:  calls get until that says that nothing will come, then shut; or shut at any time before
//
//	open ──shut──▶ closed: put refuses, those inside are woken, ctx is cancelled
//	     └─a part failed─▶ err is set, ctx is cancelled; what lies in the ring is still delivered
//
// mu guards everything below it and is not held while waiting. reading and the list of writers say who waits; whoever
// takes somebody out of there, under mu, owes exactly one Wake. So no wake-up is lost and none is doubled.
//
// Bound: at most cap(ring) values lie in the pipe, and each part holds one more.
type pipe[T any] struct {
	ctx    context.Context // what the parts run with
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	ring    []T
	head, n int
	running int
	closed  bool
	err     error // of the first part that failed
	drop    drops[T]

	reading bool
	due     bool // the alarm rang: get is to return
	reader  executor.Waiter
	first   *writer
	last    *writer
}

// writer is a part's place in the queue for room.
type writer struct {
	next   *writer
	waiter executor.Waiter
}

var errStopped = errors.New("stream: the consumer has stopped")

// newPipe makes a pipe for n values.
func newPipe[T any](ctx context.Context, n int) *pipe[T] {
	p := &pipe[T]{ring: make([]T, max(n, 1)), drop: dropper[T]()}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	return p
}

// start runs a part where the caller runs. part must call put from there only. It reports false, and the pipe has failed,
// when the part could not be started.
func (p *pipe[T]) start(part func(ctx context.Context, put func(T) bool) error) bool {
	return p.startOn(routine.Go, part)
}

// startOn is start by another way of starting.
func (p *pipe[T]) startOn(start func(func()) error, part func(ctx context.Context, put func(T) bool) error) bool {
	p.mu.Lock()
	p.running++
	p.mu.Unlock()
	w := new(writer)
	put := func(v T) bool { return p.put(w, v) }
	err := start(func() {
		err := routine.Catch(func() error { return part(p.ctx, put) }, p.done)
		p.done(err)
	})
	if err != nil {
		p.done(fmt.Errorf("stream: a part was not started: %w", err))
	}
	return err == nil
}

// fail notes the error of a part that goes on for a moment.
func (p *pipe[T]) fail(err error) {
	p.mu.Lock()
	p.running++
	p.mu.Unlock()
	p.done(err)
}

// done is the last thing that a part does.
func (p *pipe[T]) done(err error) {
	p.mu.Lock()
	p.running--
	if err != nil && p.err == nil && !p.closed {
		p.err = err
	}
	failed := p.err
	wake := p.reading && (p.running == 0 || failed != nil)
	if wake {
		p.reading = false
	}
	p.mu.Unlock()
	if failed != nil {
		p.cancel(failed)
	}
	if wake {
		p.reader.Wake()
	}
}

// put hands v over, and waits while the pipe is full. It reports whether the consumer wants more.
func (p *pipe[T]) put(w *writer, v T) bool {
	p.mu.Lock()
	for p.n == len(p.ring) && !p.closed {
		w.waiter.Prepare()
		if w.next = nil; p.last == nil {
			p.first = w
		} else {
			p.last.next = w
		}
		p.last = w
		p.mu.Unlock()
		w.waiter.Wait()
		p.mu.Lock()
	}
	if p.closed {
		p.mu.Unlock()
		p.drop.drop(v)
		return false
	}
	at := p.head + p.n
	if at >= len(p.ring) {
		at -= len(p.ring)
	}
	p.ring[at] = v
	p.n++
	wake := p.reading
	p.reading = false
	p.mu.Unlock()
	if wake {
		p.reader.Wake()
	}
	return true
}

type got uint8

const (
	gotValue   got = iota
	gotNothing     // and nothing will come
	gotDue         // the alarm rang first
)

// get takes the next value, and waits for one while there are parts that may bring it.
func (p *pipe[T]) get() (v T, how got) {
	p.mu.Lock()
	for {
		if p.closed { // interrupted
			p.mu.Unlock()
			return v, gotNothing
		}
		if p.n > 0 {
			v = p.take()
			w := p.first
			if w != nil {
				if p.first = w.next; p.first == nil {
					p.last = nil
				}
			}
			p.mu.Unlock()
			if w != nil {
				w.waiter.Wake()
			}
			return v, gotValue
		}
		switch {
		case p.running == 0:
			p.mu.Unlock()
			return v, gotNothing
		case p.due:
			p.due = false
			p.mu.Unlock()
			return v, gotDue
		}
		p.wait()
	}
}

// rest waits for the alarm, and takes no value meanwhile.
func (p *pipe[T]) rest() got {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closed || p.n == 0 && p.running == 0:
			return gotNothing
		case p.due:
			p.due = false
			return gotDue
		}
		p.wait()
	}
}

// take removes the oldest value. mu is held.
func (p *pipe[T]) take() T {
	v := p.ring[p.head]
	var none T
	p.ring[p.head] = none
	if p.head++; p.head == len(p.ring) {
		p.head = 0
	}
	p.n--
	return v
}

// wait lets the consumer wait until something changes. mu is held before and after.
func (p *pipe[T]) wait() {
	p.reader.Prepare()
	p.reading = true
	p.mu.Unlock()
	p.reader.Wait()
	p.mu.Lock()
}

// alarm is what an alarm of the consumer calls: the get that waits returns.
func (p *pipe[T]) alarm() {
	p.mu.Lock()
	p.due = true
	wake := p.reading
	p.reading = false
	p.mu.Unlock()
	if wake {
		p.reader.Wake()
	}
}

// quiet forgets an alarm that rang too late.
func (p *pipe[T]) quiet() {
	p.mu.Lock()
	p.due = false
	p.mu.Unlock()
}

// interrupt ends the pipe from outside: get brings nothing more, put refuses, and err is the pipe's error.
func (p *pipe[T]) interrupt(err error) {
	p.mu.Lock()
	if p.err == nil {
		p.err = err
	}
	p.closed = true
	for p.n > 0 { // nobody can get them any more, and the consumer may never come
		p.drop.drop(p.take())
	}
	w := p.writers()
	wake := p.reading
	p.reading = false
	p.mu.Unlock()
	wakeAll(w)
	if wake {
		p.reader.Wake()
	}
}

// abandon is interrupt for a source that goes away; when it has ended properly nothing happens.
func (p *pipe[T]) abandon(err error) {
	p.mu.Lock()
	ended := p.running == 0
	p.mu.Unlock()
	if !ended {
		p.interrupt(err)
	}
}

// writers takes those that wait for room out of the pipe. mu is held.
func (p *pipe[T]) writers() *writer {
	w := p.first
	p.first, p.last = nil, nil
	return w
}

func wakeAll(w *writer) {
	for w != nil {
		next := w.next
		w.waiter.Wake()
		w = next
	}
}

// shut closes the pipe and releases what is left. With wait it first waits for the parts. It returns the error of the part
// that failed.
func (p *pipe[T]) shut(wait bool) error {
	p.cancel(errStopped)
	p.mu.Lock()
	p.closed = true
	w := p.writers()
	p.mu.Unlock()
	wakeAll(w)
	p.mu.Lock()
	for wait && p.running > 0 {
		p.wait()
	}
	for p.n > 0 {
		p.drop.drop(p.take())
	}
	err := p.err
	p.mu.Unlock()
	return err
}

// deliver gives the values to yield until one side ends, and shuts the pipe.
func (p *pipe[T]) deliver(yield func(T) bool) error { return p.pour(yield, true) }

// deliverShared is deliver for a pipe whose source does not belong to this consumer alone, and is not waited for.
func (p *pipe[T]) deliverShared(yield func(T) bool) error { return p.pour(yield, false) }

func (p *pipe[T]) pour(yield func(T) bool, wait bool) (err error) {
	stopped := true // also when yield panics
	defer func() {
		if how := p.shut(wait); !stopped {
			err = how
		}
	}()
	for {
		v, how := p.get()
		if how == gotNothing {
			stopped = false
			return nil
		}
		if !yield(v) {
			return nil
		}
	}
}
