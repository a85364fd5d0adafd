package future

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ouro-io/ouro/executor"
)

// Future is a result that is there or will be: a value or an error. It is made by Go, by a Promise, and by the
// combinators; the zero Future never settles. All methods are safe from any goroutine or coroutine.
//
// States and owners
//
//	pending ──finish──▶ settled (for good)
//
// mu guards the list of listeners and the step to settled. value and err are written before that step and never again,
// so that who has seen it reads them without mu. Whoever takes the step takes the list with it and calls each listener
// once (run, in listen.go); who comes later finds the future settled and is not listed. So no listener is lost or
// called twice.
//
// Cancel is a wish that travels the other way, from a derived future to what it was derived from (up), until it reaches
// something that can act: the context of a Go, or the hook of a Promise. It settles nothing by itself, but for a
// Promise without a hook and for a Shield: an operation that was cancelled in the kernel ends there, and its end settles
// the future.
type Future[T any] struct {
	mu      sync.Mutex
	settled atomic.Bool
	first   *link // listeners, in the order in which they came
	last    *link
	choices *choices // nil until a Select waits
	up      upstream // whom Cancel tells; nil: nobody
	value   T
	err     error
}

// upstream is what a future's cancellation reaches.
type upstream interface{ cancel(cause error) }

// Settled reports whether the result is there.
func (f *Future[T]) Settled() bool { return f.settled.Load() }

// Result returns the result if it is there; ok is false when it is not.
func (f *Future[T]) Result() (value T, err error, ok bool) {
	if !f.settled.Load() {
		return value, nil, false
	}
	return f.value, f.err, true
}

// Cancel asks for an early end: the context of the Go that f is or was derived from is cancelled with cause (nil means
// context.Canceled), or the Promise's hook is called. f settles when that has ended, with whatever it ended with; a
// result that came first is kept. Futures that share a source share its cancellation; see Shield.
func (f *Future[T]) Cancel(cause error) {
	if cause == nil {
		cause = context.Canceled
	}
	f.mu.Lock()
	up := f.up
	if f.settled.Load() {
		up = nil
	}
	f.mu.Unlock()
	if up != nil {
		up.cancel(cause)
	}
}

// Await waits for the result: a coroutine is suspended, a goroutine parks. When ctx ends first it returns ctx's cause,
// and f goes on: call Cancel too when nobody else wants the result. It must not be called from a function that the
// result depends on.
func (f *Future[T]) Await(ctx context.Context) (T, error) {
	if f.settled.Load() {
		return f.value, f.err
	}
	if ctx.Done() == nil {
		f.awaitAlways()
		return f.value, f.err
	}
	return f.awaitUntil(ctx)
}

// awaiter is a listener that wakes who waits.
type awaiter struct {
	link
	waiter executor.Waiter
}

func (a *awaiter) sourceSettled() (first, last *link) {
	a.waiter.Wake()
	return nil, nil
}

var awaiters = sync.Pool{New: func() any {
	a := new(awaiter)
	a.on = a
	return a
}}

func (f *Future[T]) awaitAlways() {
	a := awaiters.Get().(*awaiter)
	a.waiter.Prepare()
	if !f.listen(&a.link) {
		a.waiter.Disarm()
	} else {
		a.waiter.Wait()
	}
	// Nobody touches a after the one Wake.
	awaiters.Put(a)
}

func (f *Future[T]) awaitUntil(ctx context.Context) (T, error) {
	// Not from the pool: a late Wake, of ctx or of f, must not meet another wait.
	a := new(awaiter)
	a.on = a
	a.waiter.Prepare()
	if !f.listen(&a.link) {
		a.waiter.Disarm()
		return f.value, f.err
	}
	stop := context.AfterFunc(ctx, func() { a.waiter.Wake() })
	a.waiter.Wait()
	stop()
	if f.settled.Load() {
		return f.value, f.err
	}
	f.unlisten(&a.link)
	var none T
	return none, context.Cause(ctx)
}

// finish settles f and returns its listeners, which the caller must run. ok is false when f was settled before.
func (f *Future[T]) finish(value T, err error) (first, last *link, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.settled.Load() {
		return nil, nil, false
	}
	if f.err = err; err == nil { // see Result
		f.value = value
	}
	f.settled.Store(true)
	first, last = f.first, f.last
	f.first, f.last, f.up = nil, nil, nil
	f.choices.tell()
	f.choices = nil
	return first, last, true
}

// settle is finish with the listeners run. It reports whether it was the one that settled f.
func (f *Future[T]) settle(value T, err error) bool {
	first, _, ok := f.finish(value, err)
	run(first)
	return ok
}

// listen lists l to be told once f settles. It reports false when f has settled: l is not told then.
func (f *Future[T]) listen(l *link) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.settled.Load() {
		return false
	}
	if f.last == nil {
		f.first = l
	} else {
		f.last.next = l
	}
	f.last = l
	return true
}

// unlisten takes l out of the list, if it is in.
func (f *Future[T]) unlisten(l *link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var before *link
	for x := f.first; x != nil; before, x = x, x.next {
		if x != l {
			continue
		}
		if before == nil {
			f.first = l.next
		} else {
			before.next = l.next
		}
		if f.last == l {
			f.last = before
		}
		l.next = nil
		return
	}
}
