package csp

import (
	"context"
	"sync"

	"github.com/ouro-io/ouro/executor"
)

// Oneshot brings one value from one party to another. The zero value is ready. All methods are safe from any goroutine
// or coroutine.
//
// States, under mu: empty → full (Send) → taken (a receive), or → closed. Whoever waits is told at the first change.
type Oneshot[T any] struct {
	mu    sync.Mutex
	v     T
	state oneshotState
	wait  watchers
}

type oneshotState uint8

const (
	oneshotEmpty oneshotState = iota
	oneshotFull
	oneshotOver // taken or closed
)

// Send leaves v for the receiver. It never waits. It returns ErrClosed when a value was sent before or the Oneshot was
// closed.
func (o *Oneshot[T]) Send(v T) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state != oneshotEmpty {
		return ErrClosed
	}
	o.v, o.state = v, oneshotFull
	o.wait.tell()
	return nil
}

// spend tells of the receive, and of the send with it: it has no use for a counter.
func (o *Oneshot[T]) spend() { executor.Checkpoint(2) }

// Close tells the receiver that no value will come. After Send it changes nothing, and may be deferred.
func (o *Oneshot[T]) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state == oneshotEmpty {
		o.state = oneshotOver
		o.wait.tell()
	}
}

// Recv waits for the value. It reports false when none will come, or when it was received before.
func (o *Oneshot[T]) Recv() (T, bool) {
	v, err := o.RecvContext(context.Background())
	return v, err == nil
}

// RecvContext is Recv that returns ErrClosed, and context.Cause(ctx) when ctx ends first.
func (o *Oneshot[T]) RecvContext(ctx context.Context) (T, error) { return await(ctx, o) }

// TryRecv is Recv that returns ErrWouldBlock instead of waiting.
func (o *Oneshot[T]) TryRecv() (T, error) { return tryGet(o) }

// Case is a case of Select that receives into *into.
func (o *Oneshot[T]) Case(into *T) Case { return Case{src: o, v: into} }

func (o *Oneshot[T]) take(into any) (bool, error) { return take(o, into) }

func (o *Oneshot[T]) get() (v T, ok bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch o.state {
	case oneshotEmpty:
		return v, false, nil
	case oneshotOver:
		return v, true, ErrClosed
	}
	var zero T
	v, o.v, o.state = o.v, zero, oneshotOver
	o.wait.tell() // others wait in vain
	return v, true, nil
}

// Ready is executor.Source's.
func (o *Oneshot[T]) Ready() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state != oneshotEmpty
}

// Subscribe is executor.Source's.
func (o *Oneshot[T]) Subscribe(c *executor.Choice, i int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wait.add(c, i)
	if o.state != oneshotEmpty {
		o.wait.tell()
	}
}

// Unsubscribe is executor.Source's.
func (o *Oneshot[T]) Unsubscribe(c *executor.Choice, i int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wait.remove(c, i)
}
