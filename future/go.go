package future

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/routine"
)

// Starter starts coroutines: *executor.Executor and *executor.Worker do.
type Starter interface{ Go(fn func()) error }

// Go runs fn and returns the future of its result. From a coroutine fn runs as a coroutine of the same worker, from a
// goroutine on a goroutine; see GoOn for elsewhere. The context that fn is given ends with ctx and by Cancel, and fn is
// to pass it on to what it waits for: an operation of the engine that is given it is cancelled in the kernel. The future
// settles when fn has returned, so nothing is abandoned. A panic settles it with an *executor.PanicError.
func Go[T any](ctx context.Context, fn func(ctx context.Context) (T, error)) *Future[T] {
	return start(here{}, ctx, fn)
}

// GoOn is Go on an executor or worker, as a coroutine, wherever the caller runs. When that refuses to start it (see
// executor.Worker.Go), the future has its error.
func GoOn[T any](on Starter, ctx context.Context, fn func(ctx context.Context) (T, error)) *Future[T] {
	return start(on, ctx, fn)
}

type here struct{}

func (here) Go(fn func()) error { return routine.Go(fn) }

// call is the future of a Go.
type call[T any] struct {
	Future[T]
	ctx    context.Context
	cancel context.CancelCauseFunc
	fn     func(context.Context) (T, error)
}

// wish keeps the method name cancel out of call's way.
type wish context.CancelCauseFunc

func (w wish) cancel(cause error) { w(cause) }

func start[T any](on Starter, ctx context.Context, fn func(context.Context) (T, error)) *Future[T] {
	if fn == nil {
		panic("future: Go without a function")
	}
	c := &call[T]{fn: fn}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.up = wish(c.cancel)
	if err := on.Go(c.run); err != nil {
		c.cancel(nil)
		return Rejected[T](fmt.Errorf("future: not started: %w", err))
	}
	return &c.Future
}

func (c *call[T]) run() {
	returned := false
	var v T
	var err error
	defer func() {
		if !returned {
			var none T
			v, err = none, executor.ErrGoexit
			if p := recover(); p != nil {
				err = &executor.PanicError{Value: p, Stack: debug.Stack()}
			}
		}
		if err != nil {
			err = withCause(c.ctx, err)
		}
		c.cancel(nil)
		c.settle(v, err)
	}()
	v, err = c.fn(c.ctx)
	returned = true
}

// withCause adds to an error that says only that ctx ended why it ended.
func withCause(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil && errors.Is(err, end) {
		if cause := context.Cause(ctx); !errors.Is(err, cause) {
			return fmt.Errorf("%w: %w", err, cause)
		}
	}
	return err
}
