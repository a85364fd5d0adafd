package csp

import (
	"context"
	"sync"

	"github.com/ouro-io/ouro/executor"
)

// watchers are the Choices that wait for an event. They belong to the mutex that guards it.
type watchers struct{ list []watcher }

type watcher struct {
	choice *executor.Choice
	index  int
}

func (w *watchers) add(c *executor.Choice, i int) { w.list = append(w.list, watcher{c, i}) }

func (w *watchers) remove(c *executor.Choice, i int) {
	for k, x := range w.list {
		if x.choice == c && x.index == i {
			last := len(w.list) - 1
			w.list[k] = w.list[last]
			w.list[last] = watcher{}
			w.list = w.list[:last]
			return
		}
	}
}

// tell claims and wakes all of them. Waking is short and takes no lock of this package, so the mutex may be held, and
// the list needs no memory of its own.
func (w *watchers) tell() {
	for k, x := range w.list {
		if x.choice.Claim(x.index) {
			x.choice.Wake()
		}
		w.list[k] = watcher{}
	}
	w.list = w.list[:0]
}

var choices = sync.Pool{New: func() any { return new(executor.Choice) }}

// bringer is a Source that brings values of type T, to the one party that waits for it.
type bringer[T any] interface {
	executor.Source
	// get takes the value, or the error that the source has come to. ok is false when there is neither.
	get() (v T, ok bool, err error)
	// spend counts one operation that did not wait. No mutex is held.
	spend()
}

// turns counts the operations of one party that did not wait, and lets others run now and then.
type turns struct{ n uint32 }

func (t *turns) spend() {
	if t.n++; t.n%checkpointEvery == 0 {
		executor.Checkpoint(checkpointEvery)
	}
}

// await takes what s brings, and waits for it.
func await[T any](ctx context.Context, s bringer[T]) (T, error) {
	for {
		if ctx.Err() != nil {
			var zero T
			return zero, context.Cause(ctx)
		}
		if v, ok, err := s.get(); ok {
			s.spend()
			return v, err
		}
		c := choices.Get().(*executor.Choice)
		c.Prepare()
		s.Subscribe(c, 0)
		_, err := c.WaitContext(ctx)
		s.Unsubscribe(c, 0)
		choices.Put(c)
		if err != nil {
			var zero T
			return zero, err
		}
	}
}

// tryGet takes what s brings if it is there.
func tryGet[T any](s bringer[T]) (T, error) {
	v, ok, err := s.get()
	s.spend()
	if !ok {
		err = ErrWouldBlock
	}
	return v, err
}

// take is get for a Select, into a *T.
func take[T any](s bringer[T], into any) (bool, error) {
	v, ok, err := s.get()
	s.spend()
	if ok && err == nil {
		*into.(*T) = v
	}
	return ok, err
}
