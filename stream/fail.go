package stream

import (
	"context"
	"time"

	"github.com/ouro-io/ouro/internal/routine"
)

// Catch goes on with the stream that f makes of s's error. The end of the context is not caught.
func (s Stream[T]) Catch(f func(error) Stream[T]) Stream[T] {
	return func(ctx context.Context, yield func(T) bool) error {
		stopped := false
		err := s(ctx, func(v T) bool {
			stopped = !yield(v)
			return !stopped
		})
		if err == nil || stopped || ctx.Err() != nil {
			return err
		}
		return f(err)(ctx, yield)
	}
}

// Retry runs s again from its beginning when it fails: values that were delivered before come again unless the source
// goes on by itself. again is told of the error and of the number of failures since the last value (from 1), and says
// how long to pause, or that the error stands.
func (s Stream[T]) Retry(again func(failures int, err error) (pause time.Duration, ok bool)) Stream[T] {
	return func(ctx context.Context, yield func(T) bool) error {
		failures, stopped := 0, false
		for {
			err := s(ctx, func(v T) bool {
				failures = 0
				stopped = !yield(v)
				return !stopped
			})
			if err == nil || stopped || ctx.Err() != nil {
				return err
			}
			failures++
			pause, ok := again(failures, err)
			if !ok {
				return err
			}
			if end := routine.Sleep(ctx, pause); end != nil {
				return end
			}
		}
	}
}
