package future

import (
	"runtime/debug"
	"sync"

	"github.com/ouro-io/ouro/executor"
)

// Promise is the writing side of a Future. The zero Promise is ready for use; it must not be copied. All methods are
// safe from any goroutine or coroutine, but not in an executor's loop state (completion and timer handlers): functions
// that hang on the future run on the goroutine that settles it.
type Promise[T any] struct {
	f        Future[T]
	once     sync.Once
	mu       sync.Mutex
	onCancel func(cause error)
	cause    error // of the first Cancel
}

// Future is the reading side, always the same.
func (p *Promise[T]) Future() *Future[T] {
	p.once.Do(func() {
		p.f.mu.Lock()
		if !p.f.settled.Load() {
			p.f.up = p
		}
		p.f.mu.Unlock()
	})
	return &p.f
}

// Resolve settles the future with a value. It reports false when it was settled before; that result stays.
func (p *Promise[T]) Resolve(v T) bool { return p.f.settle(v, nil) }

// Reject settles the future with an error, which must not be nil. It reports false when it was settled before.
func (p *Promise[T]) Reject(err error) bool {
	if err == nil {
		panic("future: Reject without an error")
	}
	var none T
	return p.f.settle(none, err)
}

// OnCancel sets the function that the first Cancel calls, on its goroutine: it ends the work early, and whoever does the
// work then settles the promise. If the future was cancelled already it is called at once. When it panics the
// future is settled with an *executor.PanicError, and with executor.ErrGoexit when it calls runtime.Goexit, which also
// ends who called Cancel. Without a function, Cancel settles the future with its cause.
func (p *Promise[T]) OnCancel(fn func(cause error)) {
	p.Future()
	p.mu.Lock()
	p.onCancel = fn
	cause := p.cause
	p.mu.Unlock()
	if fn != nil && cause != nil && !p.f.settled.Load() {
		p.hook(fn, cause)
	}
}

// hook calls fn, of whose failure nobody else would know: a group's other sources would stay as they are.
func (p *Promise[T]) hook(fn func(error), cause error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		var none T
		err := executor.ErrGoexit
		if v := recover(); v != nil {
			err = &executor.PanicError{Value: v, Stack: debug.Stack()}
		}
		p.f.settle(none, err)
	}()
	fn(cause)
	returned = true
}

func (p *Promise[T]) cancel(cause error) {
	p.mu.Lock()
	first := p.cause == nil
	if first {
		p.cause = cause
	}
	fn := p.onCancel
	p.mu.Unlock()
	switch {
	case !first:
	case fn != nil:
		p.hook(fn, cause)
	default:
		var none T
		p.f.settle(none, cause)
	}
}

// Resolved returns a future that has the value.
func Resolved[T any](v T) *Future[T] {
	f := &Future[T]{value: v}
	f.settled.Store(true)
	return f
}

// Rejected returns a future that has the error, which must not be nil.
func Rejected[T any](err error) *Future[T] {
	if err == nil {
		panic("future: Rejected without an error")
	}
	f := &Future[T]{err: err}
	f.settled.Store(true)
	return f
}
