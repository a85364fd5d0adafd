package locks

import (
	"context"
	"sync/atomic"
)

// Once calls a function once. The zero value has called none. It must not be copied after use.
type Once struct {
	done atomic.Bool
	m    Mutex
}

// Do calls f if no Do was called before, and otherwise waits until the first call has returned. When f panics it has
// been called; the panic goes on in the party that called it. Do must not be called by f.
func (o *Once) Do(f func()) {
	if !o.done.Load() {
		o.m.Lock()
		o.first(f)
	}
}

// DoContext is Do that gives up waiting for another party's call when ctx ends: it returns context.Cause(ctx) then. f
// itself is not interrupted. With a context that has ended it calls nothing.
func (o *Once) DoContext(ctx context.Context, f func()) error {
	if o.done.Load() {
		return nil
	}
	if err := o.m.LockContext(ctx); err != nil {
		return err
	}
	o.first(f)
	return nil
}

// Done reports whether the function was called and has returned.
func (o *Once) Done() bool { return o.done.Load() }

// first calls f unless it was called. The caller has the lock, which first lets go.
func (o *Once) first(f func()) {
	defer o.m.Unlock()
	if !o.done.Load() {
		defer o.done.Store(true)
		f()
	}
}
