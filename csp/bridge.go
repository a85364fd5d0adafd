package csp

import (
	"context"

	"github.com/ouro-io/ouro/executor"
)

// FromGo makes a channel that brings what in brings, by a goroutine of s. It is closed when in is closed or s is
// cancelled; then the goroutine may have received one value that goes nowhere. Errors are those of Scope.Go; it panics
// when capacity is out of its limits.
func FromGo[T any](s *executor.Scope, in <-chan T, capacity int) (*Chan[T], error) {
	out := New[T](capacity)
	err := s.GoAs(executor.Child{Goroutine: true}, func(ctx context.Context) error {
		defer out.Close()
		for {
			select {
			case v, ok := <-in:
				if !ok || out.SendContext(ctx, v) != nil {
					return nil
				}
			case <-ctx.Done():
				return nil
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ToGo makes a Go channel that brings what in brings, by a goroutine of s. It is closed when in is closed and empty or s
// is cancelled; then the goroutine may have received one value that goes nowhere. Errors are those of Scope.Go; it panics
// when capacity is out of its limits.
func ToGo[T any](s *executor.Scope, in *Chan[T], capacity int) (<-chan T, error) {
	if capacity < 0 || capacity > MaxCapacity {
		New[T](capacity)
	}
	out := make(chan T, capacity)
	err := s.GoAs(executor.Child{Goroutine: true}, func(ctx context.Context) error {
		defer close(out)
		for {
			v, err := in.RecvContext(ctx)
			if err != nil {
				return nil
			}
			select {
			case out <- v:
			case <-ctx.Done():
				return nil
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
