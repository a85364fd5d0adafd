package stream

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/routine"
)

// Tick is the stream of the time, every d, without end. A consumer that is late misses ticks. It panics when d is not
// positive.
func Tick(d time.Duration) Stream[time.Time] {
	if d <= 0 {
		panic("stream: Tick with an interval that is not positive")
	}
	return func(ctx context.Context, yield func(time.Time) bool) error {
		next := time.Now().Add(d)
		for {
			if err := routine.Sleep(ctx, time.Until(next)); err != nil {
				return err
			}
			now := time.Now()
			if !yield(now) {
				return nil
			}
			if next = next.Add(d); next.Before(now) {
				next = now.Truncate(0).Add(d - now.Sub(next)%d)
			}
		}
	}
}

// Batch gathers up to n values, for at most d from the first of them (0 means without limit), into slices of their own.
// The last may be shorter. It panics when n is below 1.
func Batch[T any](s Stream[T], n int, d time.Duration) Stream[[]T] {
	if n < 1 {
		panic(fmt.Sprintf("stream: Batch of %d; at least 1", n))
	}
	if d <= 0 {
		return Window(s, n, n)
	}
	return func(ctx context.Context, yield func([]T) bool) error {
		return timed(ctx, s, func(in *pipe[T], alarm *routine.Alarm) error {
			var batch []T
			flush := func() bool {
				full := batch
				batch = nil
				alarm.Stop()
				return len(full) == 0 || yield(full)
			}
			for {
				v, how := in.get()
				more := true
				switch how {
				case gotNothing:
					flush()
					return nil
				case gotDue:
					more = flush()
				case gotValue:
					if batch = append(batch, v); len(batch) == 1 {
						in.quiet()
						alarm.Set(d)
					}
					if len(batch) == n {
						more = flush()
					}
				}
				if !more {
					return errStopped
				}
			}
		})
	}
}

// WindowTime is Window by time: the values that came within the last size, given every step. With step equal to size the
// windows tumble. Windows without values are left out. At most limit values are held: then s waits, and goes on after the
// next window, so a window never has more. It panics when size or step is not positive, step is above size, or limit is
// below 1.
func WindowTime[T any](s Stream[T], size, step time.Duration, limit int) Stream[[]T] {
	if size <= 0 || step <= 0 || step > size || limit < 1 {
		panic("stream: WindowTime needs 0 < step ≤ size and a limit of 1 or more")
	}
	type entry struct {
		v  T
		at time.Time
	}
	return func(ctx context.Context, yield func([]T) bool) error {
		return timed(ctx, s, func(in *pipe[T], alarm *routine.Alarm) error {
			// Windows follow the plan, not the moment at which the alarm comes to be heard: that of end holds what came in
			// (end-size, end], so a late alarm loses nothing.
			var held []entry
			end := time.Now().Add(step)
			give := func() bool {
				var w []T
				for _, e := range held {
					if !e.at.After(end) {
						w = append(w, e.v)
					}
				}
				end = end.Add(step)
				for len(held) > 0 && !held[0].at.After(end.Add(-size)) {
					held = held[1:]
				}
				return len(w) == 0 || yield(w)
			}
			alarm.Set(step)
			for {
				var v T
				var how got
				if len(held) < limit {
					v, how = in.get()
				} else {
					how = in.rest()
				}
				switch how {
				case gotNothing:
					if n := len(held); n > 0 && held[n-1].at.After(end.Add(-step)) {
						for i := range held { // the rest comes as one window, however late it is
							held[i].at = end
						}
						give()
					}
					return nil
				case gotValue:
					held = append(held, entry{v, time.Now()})
				case gotDue:
					now := time.Now()
					for !end.After(now) {
						if len(held) == 0 { // skip what is empty
							end = end.Add(now.Sub(end)/step*step + step)
						} else if !give() {
							return errStopped
						}
					}
					alarm.Set(end.Sub(now))
				}
			}
		})
	}
}

// Debounce yields a value once d has passed without another one; those before are released. The last value of s comes
// when s ends.
func (s Stream[T]) Debounce(d time.Duration) Stream[T] {
	drop := dropper[T]()
	return func(ctx context.Context, yield func(T) bool) error {
		return timed(ctx, s, func(in *pipe[T], alarm *routine.Alarm) error {
			var last T
			held := false
			defer func() {
				if held {
					drop.drop(last)
				}
			}()
			give := func() bool {
				v, had := last, held
				held = false
				return !had || yield(v)
			}
			for {
				v, how := in.get()
				switch how {
				case gotNothing:
					give()
					return nil
				case gotDue:
					if !give() {
						return errStopped
					}
				case gotValue:
					if held {
						drop.drop(last)
					}
					last, held = v, true
					alarm.Stop()
					in.quiet()
					alarm.Set(d)
				}
			}
		})
	}
}

// timed runs s beside use, which takes its values from the pipe and may set the alarm to have get return gotDue. use
// returns errStopped when its consumer wants no more.
func timed[T any](ctx context.Context, s Stream[T], use func(*pipe[T], *routine.Alarm) error) (err error) {
	in := newPipe[T](ctx, 1)
	var alarm routine.Alarm
	alarm.Init(in.alarm)
	defer func() {
		alarm.Stop()
		if how := in.shut(true); err == nil {
			err = how
		}
		if err == errStopped {
			err = nil
		}
	}()
	in.start(s)
	return use(in, &alarm)
}

// Throttle lets through at most n values per d on average, and n at once after a pause, by making s wait. It panics when
// n is below 1 or d not positive.
func (s Stream[T]) Throttle(n int, d time.Duration) Stream[T] {
	return s.ThrottleBy(n, d, func(T) int { return 1 })
}

// ThrottleBy is Throttle for values of different weight, bytes for instance: n is the weight that passes per d. A value
// that weighs more than n passes alone and is paid for afterwards.
func (s Stream[T]) ThrottleBy(n int, d time.Duration, weight func(T) int) Stream[T] {
	if n < 1 || d <= 0 {
		panic("stream: Throttle needs n ≥ 1 and d > 0")
	}
	drop := dropper[T]()
	perUnit := float64(d) / float64(n)
	return func(ctx context.Context, yield func(T) bool) error {
		// The bucket, as the time at which it was last empty: what has passed since is the credit.
		empty := time.Now().Add(-d)
		var failed error
		err := s(ctx, func(v T) bool {
			now := time.Now()
			if now.Sub(empty) > d {
				empty = now.Add(-d)
			}
			w := float64(weight(v))
			need := time.Duration(min(w, float64(n)) * perUnit)
			if wait := need - now.Sub(empty); wait > 0 {
				if failed = routine.Sleep(ctx, wait); failed != nil {
					drop.drop(v)
					return false
				}
			}
			empty = empty.Add(time.Duration(w * perUnit))
			return yield(v)
		})
		if failed != nil {
			return failed
		}
		return err
	}
}

// TimeoutError is how a Timeout ends. errors.Is finds in it context.DeadlineExceeded and os.ErrDeadlineExceeded.
type TimeoutError struct {
	// After is the time that was allowed.
	After time.Duration
}

func (e *TimeoutError) Error() string { return fmt.Sprintf("stream: no value within %v", e.After) }

// Timeout is true.
func (e *TimeoutError) Timeout() bool { return true }

// Is reports whether target is one of the standard library's errors of this meaning.
func (e *TimeoutError) Is(target error) bool {
	return target == context.DeadlineExceeded || target == os.ErrDeadlineExceeded
}

// Timeout fails with a *TimeoutError when s takes longer than d for a value, or for its end. Only the time that s takes
// counts, not that of the consumer. What s waits for is cancelled.
func (s Stream[T]) Timeout(d time.Duration) Stream[T] {
	return func(ctx context.Context, yield func(T) bool) error {
		late := &TimeoutError{d}
		under, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		// The alarm may ring while it is stopped; running says, under mu, whether that still counts.
		var mu sync.Mutex
		running, fired := true, false
		since := time.Now()
		var alarm routine.Alarm
		w := executor.Current()
		alarm.Init(func() {
			mu.Lock()
			// One that was stopped too late must not count for the next value; half of d tells them apart.
			fired = fired || running && time.Since(since) >= d/2
			f := fired
			mu.Unlock()
			if f && w != nil {
				go cancel(late) // not in loop state: it calls what others have hung on the context
			} else if f {
				cancel(late)
			}
		})
		watch := func(on bool) bool {
			mu.Lock()
			defer mu.Unlock()
			running, since = on, time.Now()
			return !fired
		}
		alarm.Set(d)
		defer alarm.Stop()
		err := s(under, func(v T) bool {
			alarm.Stop()
			if !watch(false) {
				dropper[T]().drop(v)
				return false
			}
			if !yield(v) {
				return false
			}
			watch(true)
			alarm.Set(d)
			return true
		})
		if !watch(false) && ctx.Err() == nil {
			return late
		}
		return err
	}
}
