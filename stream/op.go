package stream

import (
	"context"
)

// Map is the stream of f applied to each value.
func Map[T, U any](s Stream[T], f func(T) U) Stream[U] {
	return func(ctx context.Context, yield func(U) bool) error {
		return s(ctx, func(v T) bool { return yield(f(v)) })
	}
}

// Try is Map for a function that may fail: the stream ends with its error.
func Try[T, U any](s Stream[T], f func(context.Context, T) (U, error)) Stream[U] {
	return func(ctx context.Context, yield func(U) bool) error {
		var failed error
		err := s(ctx, func(v T) bool {
			u, err := f(ctx, v)
			if err != nil {
				failed = err
				return false
			}
			return yield(u)
		})
		if failed != nil {
			return failed
		}
		return err
	}
}

// Filter keeps the values for which keep is true.
func (s Stream[T]) Filter(keep func(T) bool) Stream[T] {
	drop := dropper[T]()
	if !drop.holds {
		return func(ctx context.Context, yield func(T) bool) error {
			return s(ctx, func(v T) bool { return !keep(v) || yield(v) })
		}
	}
	return func(ctx context.Context, yield func(T) bool) error {
		return s(ctx, func(v T) bool {
			if keep(v) {
				return yield(v)
			}
			drop.drop(v)
			return true
		})
	}
}

// FlatMap puts the streams that f makes of the values one behind the other. See MapConcurrent for several at once.
func FlatMap[T, U any](s Stream[T], f func(T) Stream[U]) Stream[U] {
	return func(ctx context.Context, yield func(U) bool) error {
		var failed error
		err := s(ctx, func(v T) bool {
			more := true
			failed = f(v)(ctx, func(u U) bool {
				more = yield(u)
				return more
			})
			return more && failed == nil
		})
		if failed != nil {
			return failed
		}
		return err
	}
}

// Concat is one stream behind the other.
func Concat[T any](ss ...Stream[T]) Stream[T] {
	return func(ctx context.Context, yield func(T) bool) error {
		more := true
		for _, s := range ss {
			err := s(ctx, func(v T) bool {
				more = yield(v)
				return more
			})
			if err != nil || !more {
				return err
			}
		}
		return nil
	}
}

// Scan is the stream of the intermediate results of a Fold, one per value.
func Scan[T, A any](s Stream[T], a A, f func(A, T) A) Stream[A] {
	return func(ctx context.Context, yield func(A) bool) error {
		x := a
		return s(ctx, func(v T) bool {
			x = f(x, v)
			return yield(x)
		})
	}
}

// Take ends after n values. It asks for no further one.
func (s Stream[T]) Take(n int) Stream[T] {
	return func(ctx context.Context, yield func(T) bool) error {
		if n <= 0 {
			return nil
		}
		left := n
		return s(ctx, func(v T) bool {
			left--
			return yield(v) && left > 0
		})
	}
}

// Skip leaves the first n values out.
func (s Stream[T]) Skip(n int) Stream[T] {
	drop := dropper[T]()
	return func(ctx context.Context, yield func(T) bool) error {
		left := n
		return s(ctx, func(v T) bool {
			if left > 0 {
				left--
				drop.drop(v)
				return true
			}
			return yield(v)
		})
	}
}

// TakeWhile ends before the first value for which ok is false.
func (s Stream[T]) TakeWhile(ok func(T) bool) Stream[T] {
	drop := dropper[T]()
	return func(ctx context.Context, yield func(T) bool) error {
		return s(ctx, func(v T) bool {
			if !ok(v) {
				drop.drop(v)
				return false
			}
			return yield(v)
		})
	}
}

// SkipWhile leaves the values out that come before the first for which out is false.
func (s Stream[T]) SkipWhile(out func(T) bool) Stream[T] {
	drop := dropper[T]()
	return func(ctx context.Context, yield func(T) bool) error {
		begun := false
		return s(ctx, func(v T) bool {
			if !begun && out(v) {
				drop.drop(v)
				return true
			}
			begun = true
			return yield(v)
		})
	}
}

// Tap calls f for each value on its way.
func (s Stream[T]) Tap(f func(T)) Stream[T] {
	return func(ctx context.Context, yield func(T) bool) error {
		return s(ctx, func(v T) bool {
			f(v)
			return yield(v)
		})
	}
}

// Window is the stream of the last size values, at every step'th value: with step equal to size the windows tumble, with
// a smaller one they slide and overlap, with a larger one values between them are left out. The last window may be
// shorter when they tumble or do not touch; a sliding one is only given when it is full. Each is a slice of its own. It
// panics when size or step is below 1.
func Window[T any](s Stream[T], size, step int) Stream[[]T] {
	if size < 1 || step < 1 {
		panic("stream: Window with a size or step below 1")
	}
	drop := dropper[T]()
	return func(ctx context.Context, yield func([]T) bool) error {
		w := make([]T, 0, size)
		skip := 0
		err := s(ctx, func(v T) bool {
			if skip > 0 {
				skip--
				drop.drop(v)
				return true
			}
			if w = append(w, v); len(w) < size {
				return true
			}
			full := w
			w = make([]T, 0, size)
			if step < size {
				w = append(w, full[step:]...)
			}
			skip = max(0, step-size)
			return yield(full)
		})
		if step >= size && len(w) > 0 { // not after a yield that wanted no more: that had all of w
			yield(w)
		}
		return err
	}
}
