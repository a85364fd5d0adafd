package csp

import (
	"context"
	"iter"
	"sync"

	"github.com/ouro-io/ouro/executor"
)

// Watch holds a value of which only the latest matters: a configuration, a state, a progress. NewWatch makes one. All
// methods are safe from any goroutine or coroutine, and none of them waits (but see executor.Checkpoint).
type Watch[T any] struct {
	mu      sync.Mutex
	v       T
	version uint64
	closed  bool
	wait    watchers
}

// NewWatch makes a Watch that holds v.
func NewWatch[T any](v T) *Watch[T] { return &Watch[T]{v: v, version: 1} }

// Get returns the value.
func (w *Watch[T]) Get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.v
}

// Set replaces the value and tells the watchers. It returns ErrClosed after Close.
func (w *Watch[T]) Set(v T) error { return w.Update(func(T) T { return v }) }

// Update replaces the value by what f makes of it, which nobody can come between. f must be short and must not use w. It
// returns ErrClosed after Close.
func (w *Watch[T]) Update(f func(T) T) error {
	err := w.update(f)
	executor.Checkpoint(1)
	return err
}

func (w *Watch[T]) update(f func(T) T) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	w.v = f(w.v)
	w.version++
	w.wait.tell()
	return nil
}

// Close tells the watchers that the value does not change any more. The last value can still be seen. A second Close
// changes nothing.
func (w *Watch[T]) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.wait.tell()
}

// Subscribe returns a Watcher that has seen nothing yet: the present value is its first.
func (w *Watch[T]) Subscribe() *Watcher[T] { return &Watcher[T]{w: w} }

// Watcher sees the changes of a Watch: not each, but always the latest. It belongs to one party at a time.
type Watcher[T any] struct {
	w    *Watch[T]
	seen uint64
}

// spend tells at once: a Watcher may live for one value only.
func (r *Watcher[T]) spend() { executor.Checkpoint(1) }

// Next waits until the value is another than the one it returned last. It returns ErrClosed when the Watch is closed and
// its last value was seen, and context.Cause(ctx) when ctx ends first.
func (r *Watcher[T]) Next(ctx context.Context) (T, error) { return await(ctx, r) }

// TryNext is Next that returns ErrWouldBlock instead of waiting.
func (r *Watcher[T]) TryNext() (T, error) { return tryGet(r) }

// Range yields the present value and the changes until the Watch is closed.
func (r *Watcher[T]) Range() iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			v, err := r.Next(context.Background())
			if err != nil || !yield(v) {
				return
			}
		}
	}
}

// Case is a case of Select that does Next into *into.
func (r *Watcher[T]) Case(into *T) Case { return Case{src: r, v: into} }

func (r *Watcher[T]) take(into any) (bool, error) { return take(r, into) }

func (r *Watcher[T]) get() (v T, ok bool, err error) {
	w := r.w
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case r.seen != w.version:
		r.seen = w.version
		return w.v, true, nil
	case w.closed:
		return v, true, ErrClosed
	}
	return v, false, nil
}

// changed tells whether there is something to take. The caller holds the mutex.
func (r *Watcher[T]) changed() bool { return r.seen != r.w.version || r.w.closed }

// Ready is executor.Source's.
func (r *Watcher[T]) Ready() bool {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return r.changed()
}

// Subscribe is executor.Source's.
func (r *Watcher[T]) Subscribe(c *executor.Choice, i int) {
	r.w.mu.Lock()
	changed := r.changed()
	if !changed {
		r.w.wait.add(c, i)
	}
	r.w.mu.Unlock()
	if changed && c.Claim(i) {
		c.Wake()
	}
}

// Unsubscribe is executor.Source's.
func (r *Watcher[T]) Unsubscribe(c *executor.Choice, i int) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.wait.remove(c, i)
}
