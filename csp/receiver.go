package csp

import (
	"context"
	"errors"
	"iter"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/waitq"
)

// Receiver receives from a Broadcast. It belongs to one party at a time, but Close may be called by any.
type Receiver[T any] struct {
	b      *Broadcast[T]
	cursor uint64
	missed uint64
	gone   bool
	turns
}

// Recv receives the next value, and waits for it. It reports false when the Broadcast is closed and everything was
// received, or the receiver is closed. A LagError is passed over: see Missed.
func (r *Receiver[T]) Recv() (T, bool) {
	for {
		v, err := r.RecvContext(context.Background())
		if err == nil {
			return v, true
		}
		var lag *LagError
		if !errors.As(err, &lag) {
			return v, false
		}
	}
}

// RecvContext is Recv that returns ErrClosed; *LagError when values were missed, with LagFail, after which the next call
// receives the oldest value that is left; and context.Cause(ctx) when ctx ends first.
func (r *Receiver[T]) RecvContext(ctx context.Context) (T, error) { return await(ctx, r) }

// TryRecv is RecvContext that returns ErrWouldBlock instead of waiting.
func (r *Receiver[T]) TryRecv() (T, error) { return tryGet(r) }

// Range receives until the end.
func (r *Receiver[T]) Range() iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			v, ok := r.Recv()
			if !ok || !yield(v) {
				return
			}
		}
	}
}

// Case is a case of Select that receives into *into. Its Select returns the errors of RecvContext.
func (r *Receiver[T]) Case(into *T) Case { return Case{src: r, v: into} }

// Missed is the number of values that the receiver has missed because it was too slow.
func (r *Receiver[T]) Missed() uint64 {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	return r.missed
}

// Len is the number of values that wait for the receiver.
func (r *Receiver[T]) Len() int {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	if r.gone {
		return 0
	}
	return int(min(r.b.next-r.cursor, uint64(len(r.b.ring))))
}

// Close takes the receiver out of the Broadcast; nobody waits for it any more. A second Close changes nothing.
func (r *Receiver[T]) Close() { r.b.drop(r) }

func (r *Receiver[T]) take(into any) (bool, error) { return take(r, into) }

func (r *Receiver[T]) get() (v T, ok bool, err error) {
	b := r.b
	b.mu.Lock()
	size := uint64(len(b.ring))
	switch {
	case r.gone:
		b.mu.Unlock()
		return v, true, ErrClosed
	case b.next-r.cursor > size:
		lost := b.next - r.cursor - size
		r.cursor += lost
		r.missed += lost
		if b.lag == LagFail {
			b.mu.Unlock()
			return v, true, &LagError{Missed: lost}
		}
	case r.cursor == b.next:
		closed := b.closed
		b.mu.Unlock()
		if closed {
			return v, true, ErrClosed
		}
		return v, false, nil
	}
	v = b.ring[r.cursor%size]
	r.cursor++
	var wake waitq.Chain[sending[T]]
	b.admit(&wake)
	b.mu.Unlock()
	wake.Wake()
	return v, true, nil
}

// some tells whether there is something to take. The caller holds the mutex.
func (r *Receiver[T]) some() bool { return r.gone || r.b.closed || r.cursor != r.b.next }

// Ready is executor.Source's.
func (r *Receiver[T]) Ready() bool {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	return r.some()
}

// Subscribe is executor.Source's.
func (r *Receiver[T]) Subscribe(c *executor.Choice, i int) {
	r.b.mu.Lock()
	some := r.some()
	if !some {
		r.b.wait.add(c, i)
	}
	r.b.mu.Unlock()
	if some && c.Claim(i) {
		c.Wake()
	}
}

// Unsubscribe is executor.Source's.
func (r *Receiver[T]) Unsubscribe(c *executor.Choice, i int) {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	r.b.wait.remove(c, i)
}
