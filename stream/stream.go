package stream

import (
	"context"
	"errors"
	"iter"
)

// Stream is a sequence of values that ends with nil or an error. It is a recipe: nothing happens until it is run, by
// calling it or by one of the sinks (Fold, ForEach, Seq, Collect, Write …), and it may be run again if its source can.
// Anybody may write one; it is a function that obeys these rules:
//
//  1. It calls yield once per value, one call at a time, on the goroutine or coroutine that it was called on.
//  2. When yield returns false it returns nil and does not call yield again. The next value is made only after yield has
//     returned: a slow consumer slows the source down.
//  3. When ctx ends, whatever it waits for ends, and it returns context.Cause(ctx).
//  4. When it returns, all that it has started has ended.
type Stream[T any] func(ctx context.Context, yield func(T) bool) error

// From is the stream of what seq yields. A sequence cannot be interrupted; sinks look at the context between values.
func From[T any](seq iter.Seq[T]) Stream[T] {
	return func(_ context.Context, yield func(T) bool) error {
		seq(yield)
		return nil
	}
}

// From2 is the stream of a sequence that may fail: it ends with the first error.
func From2[T any](seq iter.Seq2[T, error]) Stream[T] {
	return func(_ context.Context, yield func(T) bool) error {
		for v, err := range seq {
			if err != nil {
				return err
			}
			if !yield(v) {
				return nil
			}
		}
		return nil
	}
}

// FromFunc is the stream of what next returns, until it returns an error: one that is end ends the stream well, any other is
// the stream's. next gets the context of the run, and is called once for each value that is asked for:
//
//	stream.FromFunc(ch.RecvContext, csp.ErrClosed) // a channel of package csp, a Receiver, a Watcher's Next
//
// The way back is ForEach: s.ForEach(ctx, func(v T) error { return ch.SendContext(ctx, v) }).
func FromFunc[T any](next func(context.Context) (T, error), end error) Stream[T] {
	return func(ctx context.Context, yield func(T) bool) error {
		for {
			v, err := next(ctx)
			switch {
			case err == nil:
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case errors.Is(err, end):
				return nil
			default:
				return err
			}
			if !yield(v) {
				return nil
			}
		}
	}
}

// Of is the stream of the values.
func Of[T any](values ...T) Stream[T] {
	return func(_ context.Context, yield func(T) bool) error {
		for _, v := range values {
			if !yield(v) {
				return nil
			}
		}
		return nil
	}
}

// Fail is the stream that ends with err at once.
func Fail[T any](err error) Stream[T] {
	return func(context.Context, func(T) bool) error { return err }
}

// Fold runs s and combines its values: f(… f(f(a, first), second) …, last). When s fails it returns what it had.
func Fold[T, A any](ctx context.Context, s Stream[T], a A, f func(A, T) A) (A, error) {
	x, forever := a, endless(ctx)
	err := s(ctx, func(v T) bool {
		x = f(x, v)
		return forever || ctx.Err() == nil
	})
	return x, ended(ctx, err)
}

// endless tells whether ctx cannot end, so that a sink need not look at it between values. Sources that wait end by themselves;
// the look is for those that only compute, or take long for a value.
func endless(ctx context.Context) bool { return ctx.Done() == nil }

// ended is the error of a run: that of the stream, or else of the context.
func ended(ctx context.Context, err error) error {
	if err == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// ForEach runs s and calls f for each value until it returns an error, which ends the run and is returned.
func (s Stream[T]) ForEach(ctx context.Context, f func(T) error) error {
	var failed error
	forever := endless(ctx)
	err := s(ctx, func(v T) bool {
		if failed = f(v); failed != nil {
			return false
		}
		return forever || ctx.Err() == nil
	})
	if failed != nil {
		return failed
	}
	return ended(ctx, err)
}

// Run runs s for its effects and releases the values (see the package comment).
func (s Stream[T]) Run(ctx context.Context) error {
	drop := dropper[T]()
	return s.ForEach(ctx, func(v T) error {
		drop.drop(v)
		return nil
	})
}

// Collect runs s and returns its values. They must be the caller's to keep: see the package comment on borrowed bytes.
func (s Stream[T]) Collect(ctx context.Context) ([]T, error) {
	return Fold(ctx, s, nil, func(all []T, v T) []T { return append(all, v) })
}

// First runs s until its first value; ok is false when there is none.
func (s Stream[T]) First(ctx context.Context) (v T, ok bool, err error) {
	err = s(ctx, func(x T) bool {
		v, ok = x, true
		return false
	})
	if ok {
		return v, true, nil
	}
	return v, false, ended(ctx, err)
}

// Seq is s for a range statement. An error comes last, with a zero value:
//
//	for v, err := range s.Seq(ctx) {
//		if err != nil { … }
func (s Stream[T]) Seq(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		stopped, forever := false, endless(ctx)
		err := s(ctx, func(v T) bool {
			stopped = !yield(v, nil)
			return !stopped && (forever || ctx.Err() == nil)
		})
		if err = ended(ctx, err); err != nil && !stopped {
			var none T
			yield(none, err)
		}
	}
}

// releaser is a value that holds something, such as a buffers.Lease.
type releaser interface{ Release() }

// drops releases values that an operator discards.
type drops[T any] struct{ holds bool }

// dropper finds out once whether values of type T hold something.
func dropper[T any]() drops[T] {
	var v T
	_, holds := any(v).(releaser)
	return drops[T]{holds}
}

func (d drops[T]) drop(v T) {
	if d.holds {
		any(v).(releaser).Release()
	}
}
