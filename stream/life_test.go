package stream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/routine"
	"github.com/ouro-io/ouro/internal/worldtest"
)

type counter struct{ n atomic.Int64 }

func (c *counter) add(n int64) int64 { return c.n.Add(n) }
func (c *counter) get() int64        { return c.n.Load() }
func (c *counter) max(n int64) {
	for m := c.n.Load(); n > m && !c.n.CompareAndSwap(m, n); m = c.n.Load() {
	}
}

// blocked is a source that waits for ever.
func blocked[T any]() Stream[T] {
	return func(ctx context.Context, _ func(T) bool) error { return routine.Sleep(ctx, time.Hour) }
}

// then is s followed by waiting.
func then(s Stream[int]) Stream[int] { return Concat(s, blocked[int]()) }

// suspensions lists every place where a stream can wait, each as a stream that gets there.
func suspensions() map[string]Stream[int] {
	wait := func(ctx context.Context, v int) (int, error) { return v, routine.Sleep(ctx, time.Hour) }
	flat := func(s Stream[[]int]) Stream[int] { return FlatMap(s, func(vs []int) Stream[int] { return Of(vs...) }) }
	endless := From(iter.Seq[int](func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	}))
	return map[string]Stream[int]{
		"source":               blocked[int](),
		"pure computation":     endless,
		"Tick":                 Map(Tick(time.Hour), func(time.Time) int { return 0 }),
		"FromChan":             FromChan(make(chan int)),
		"FromFunc":             FromFunc(func(ctx context.Context) (int, error) { return 0, routine.Sleep(ctx, time.Hour) }, nil),
		"Try":                  Try(upTo(1, nil), wait),
		"FlatMap":              FlatMap(upTo(1, nil), func(int) Stream[int] { return blocked[int]() }),
		"Buffer":               then(upTo(5, nil)).Buffer(2),
		"Merge":                Merge(upTo(5, nil), blocked[int](), then(upTo(1, nil))),
		"Zip left":             Zip(blocked[int](), upTo(5, nil), func(a, b int) int { return a }),
		"Zip right":            Zip(endless, then(upTo(2, nil)), func(a, b int) int { return a }),
		"MapConcurrent":        MapConcurrent(endless, 3, wait),
		"MapConcurrent source": MapConcurrent(blocked[int](), 3, wait),
		"MapUnordered":         MapUnordered(endless, 3, wait),
		"Batch":                flat(Batch(then(upTo(2, nil)), 3, time.Hour)),
		"Batch without time":   flat(Batch(then(upTo(2, nil)), 3, 0)),
		"WindowTime":           flat(WindowTime(then(upTo(2, nil)), time.Hour, time.Hour, 1000)),
		"Debounce":             then(upTo(2, nil)).Debounce(time.Hour),
		"Throttle":             endless.Throttle(2, time.Hour),
		"Timeout":              then(upTo(2, nil)).Timeout(time.Hour),
		"Retry":                Fail[int](errBoom).Retry(func(int, error) (time.Duration, bool) { return time.Hour, true }),
		"Catch":                Fail[int](errBoom).Catch(func(error) Stream[int] { return blocked[int]() }),
		"Tee": func(ctx context.Context, yield func(int) bool) error {
			two := endless.Tee(2, 1) // the second is never run, so the first waits for it
			return two[0](ctx, yield)
		},
		"Tee of nothing": func(ctx context.Context, yield func(int) bool) error {
			return Merge(blocked[int]().Tee(2, 1)...)(ctx, yield)
		},
		"Partition": func(ctx context.Context, yield func(int) bool) error {
			yes, no := then(upTo(9, nil)).Partition(1, func(v int) bool { return v%2 == 0 })
			return Merge(yes, no)(ctx, yield)
		},
		"GroupBy that nobody runs": Map(GroupBy(endless, GroupConfig{Buffer: 1}, func(v int) int { return v % 2 }), func(g Group[int, int]) int { return g.Key }),
		"GroupBy": MapUnordered(GroupBy(then(upTo(9, nil)), GroupConfig{}, func(v int) int { return v % 2 }), 2, func(ctx context.Context, g Group[int, int]) (int, error) {
			return Fold(ctx, g.Values, 0, func(a, v int) int { return a + v })
		}),
		"Gather": Map(Gather(Map(then(upTo(3, nil)), func(v int) []byte { return []byte{byte(v)} }), 10), func(b []byte) int { return len(b) }),
		"Pull": func(ctx context.Context, yield func(int) bool) error {
			next, stop := then(upTo(2, nil)).Pull(ctx)
			for v, ok := next(); ok && yield(v); v, ok = next() {
			}
			return stop()
		},
	}
}

// TestCancelEverywhere cancels a stream at each place where it can wait: it must end with the cause, and leave nothing
// behind, which TestMain and the executor's shutdown look for.
func TestCancelEverywhere(t *testing.T) {
	for name, s := range suspensions() {
		t.Run(name, func(t *testing.T) {
			worldtest.OnEachSide(t, func(t *testing.T) error {
				ctx, cancel := context.WithCancelCause(worldtest.Within(t))
				n := 0
				stop := time.AfterFunc(5*time.Millisecond, func() { cancel(errBoom) })
				defer stop.Stop()
				err := s.ForEach(ctx, func(int) error { n++; return nil })
				if !errors.Is(err, errBoom) {
					return fmt.Errorf("after %d values: %v", n, err)
				}
				return nil
			})
		})
	}
}

// TestStopEverywhere stops the same streams by their consumer, at each number of values that comes without waiting.
func TestStopEverywhere(t *testing.T) {
	for name, values := range map[string]int{"pure computation": 3, "Buffer": 5, "Merge": 5, "Zip right": 2, "Throttle": 2, "Timeout": 2, "Partition": 5, "Pull": 2, "Gather": 1} {
		s := suspensions()[name]
		t.Run(name, func(t *testing.T) {
			worldtest.OnEachSide(t, func(t *testing.T) error {
				for n := 1; n <= values; n++ {
					got, err := s.Take(n).Collect(worldtest.Within(t))
					if err != nil || len(got) != n {
						return fmt.Errorf("take %d: %v, %v", n, got, err)
					}
				}
				return nil
			})
		})
	}
}

// TestTimeoutEnds has a slow source be cancelled, and a slow consumer not.
func TestTimeoutEnds(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		// A source that is kept off the CPU for as long as it may take has more time at the next attempt.
		const most = 5 * time.Second
		var te *TimeoutError
		for d := 5 * time.Millisecond; ; d *= 4 {
			got, err := then(upTo(3, nil)).Timeout(d).Collect(worldtest.Within(t))
			if !errors.As(err, &te) || !errors.Is(err, context.DeadlineExceeded) || len(got) > 3 || len(got) < 3 && d > most {
				return fmt.Errorf("%v, %v", got, err)
			}
			if len(got) == 3 {
				break
			}
		}
		for d := 20 * time.Millisecond; ; d *= 4 {
			n := 0
			err := upTo(3, nil).Timeout(d).ForEach(worldtest.Within(t), func(int) error {
				n++
				executor.Sleep(d + d/2) // longer than the source may take
				return nil
			})
			if err == nil && n == 3 {
				return nil
			}
			if !errors.As(err, &te) || d > most {
				return fmt.Errorf("%d, %v", n, err)
			}
		}
	})
}

// TestByTime: what waits for time comes although nothing follows it.
func TestByTime(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		ctx := worldtest.Within(t)
		batch, ok, err := Batch(then(upTo(3, nil)), 10, 20*time.Millisecond).First(ctx)
		if err != nil || !ok || len(batch) == 0 {
			return fmt.Errorf("batch %v, %v", batch, err)
		}
		last, ok, err := then(upTo(3, nil)).Debounce(20 * time.Millisecond).First(ctx)
		if err != nil || !ok {
			return fmt.Errorf("debounce %v, %v", last, err)
		}
		w, ok, err := WindowTime(then(upTo(3, nil)), 20*time.Millisecond, 10*time.Millisecond, 10).First(ctx)
		if err != nil || !ok || len(w) == 0 {
			return fmt.Errorf("window %v, %v", w, err)
		}
		ticks, err := Tick(time.Millisecond).Take(3).Collect(ctx)
		if err != nil || len(ticks) != 3 || !ticks[0].Before(ticks[2]) {
			return fmt.Errorf("ticks %v, %v", ticks, err)
		}
		return nil
	})
}

// TestThrottleHolds: more than the burst cannot pass sooner than the rate allows, however fast the machine is.
func TestThrottleHolds(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		begin := time.Now()
		n, err := Fold(worldtest.Within(t), upTo(30, nil).Throttle(10, 10*time.Millisecond), 0, func(a, _ int) int { return a + 1 })
		if took := time.Since(begin); err != nil || n != 30 || took < 19*time.Millisecond {
			return fmt.Errorf("%d values in %v, %v", n, took, err)
		}
		return nil
	})
}

// held is a value that counts itself until it is released.
type held struct{ c *counter }

func (h held) Release() { h.c.add(-1) }

// TestDiscardedValuesAreReleased ends streams early, at every number of values, and counts what is still held.
func TestDiscardedValuesAreReleased(t *testing.T) {
	for name, op := range map[string]func(Stream[held]) Stream[held]{
		"Filter": func(s Stream[held]) Stream[held] { n := 0; return s.Filter(func(held) bool { n++; return n%2 == 0 }) },
		"Skip":   func(s Stream[held]) Stream[held] { return s.Skip(3) },
		"SkipWhile": func(s Stream[held]) Stream[held] {
			n := 0
			return s.SkipWhile(func(held) bool { n++; return n%5 != 0 })
		},
		"TakeWhile": func(s Stream[held]) Stream[held] { n := 0; return s.TakeWhile(func(held) bool { n++; return n < 4 }) },
		"Buffer":    func(s Stream[held]) Stream[held] { return s.Buffer(5) },
		"Merge":     func(s Stream[held]) Stream[held] { return Merge(s, s) },
		"Debounce":  func(s Stream[held]) Stream[held] { return s.Debounce(time.Hour) },
		"Timeout":   func(s Stream[held]) Stream[held] { return s.Timeout(time.Hour) },
		"Throttle":  func(s Stream[held]) Stream[held] { return s.Throttle(100, time.Nanosecond) },
		"Partition": func(s Stream[held]) Stream[held] {
			n := 0
			return func(ctx context.Context, yield func(held) bool) error {
				yes, no := s.Partition(2, func(held) bool { n++; return n%2 == 0 })
				return Merge(yes, no)(ctx, yield)
			}
		},
		"Zip": func(s Stream[held]) Stream[held] { return Zip(s, upTo(4, nil), func(h held, _ int) held { return h }) },
		"Pull": func(s Stream[held]) Stream[held] {
			return func(ctx context.Context, yield func(held) bool) error {
				next, stop := s.Pull(ctx)
				for v, ok := next(); ok && yield(v); v, ok = next() {
				}
				return stop()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			worldtest.OnEachSide(t, func(t *testing.T) error {
				for take := 1; take < 12; take++ {
					var c counter
					s := Map(upTo(10, nil), func(int) held { c.add(1); return held{&c} })
					if err := op(s).Take(take).Run(worldtest.Within(t)); err != nil {
						return err
					}
					if c.get() != 0 {
						return fmt.Errorf("take %d: %d are still held", take, c.get())
					}
				}
				return nil
			})
		})
	}
}

// TestPanicsInParts: a panic in a concurrent part becomes the error, with its stack; one in the consumer passes through
// once the parts have ended.
func TestPanicsInParts(t *testing.T) {
	bad := Map(upTo(10, nil), func(v int) int {
		if v == 3 {
			panic(errBoom)
		}
		return v
	})
	for name, s := range map[string]Stream[int]{
		"Buffer": bad.Buffer(2),
		"Merge":  Merge(bad, blocked[int]()),
		"Zip": Zip(From(iter.Seq[int](func(yield func(int) bool) {
			for yield(1) {
			}
		})), bad, func(a, b int) int { return a }),
		"Tee":           func(ctx context.Context, yield func(int) bool) error { return bad.Tee(1, 1)[0](ctx, yield) },
		"MapConcurrent": MapConcurrent(upTo(9, nil), 2, func(_ context.Context, v int) (int, error) { panic(errBoom) }),
		"GroupBy":       Map(GroupBy(bad, GroupConfig{}, func(v int) int { return 1 }), func(g Group[int, int]) int { return g.Key }),
	} {
		t.Run(name, func(t *testing.T) {
			worldtest.OnEachSide(t, func(t *testing.T) error {
				err := s.Run(worldtest.Within(t))
				var p *executor.PanicError
				if !errors.Is(err, errBoom) || !errors.As(err, &p) || len(p.Stack) == 0 {
					return fmt.Errorf("%v", err)
				}
				return nil
			})
		})
	}
	t.Run("Goexit", func(t *testing.T) {
		worldtest.OnEachSide(t, func(t *testing.T) error {
			err := upTo(3, nil).Tap(func(int) { runtime.Goexit() }).Buffer(1).Run(worldtest.Within(t))
			if !errors.Is(err, executor.ErrGoexit) {
				return fmt.Errorf("%v", err)
			}
			return nil
		})
	})
	t.Run("consumer", func(t *testing.T) {
		require.PanicsWithValue(t, errBoom, func() {
			_ = then(upTo(3, nil)).Buffer(1).ForEach(worldtest.Within(t), func(int) error { panic(errBoom) })
		})
		require.PanicsWithValue(t, errBoom, func() {
			_ = Gather(Map(then(upTo(3, nil)), func(int) []byte { return make([]byte, 8) }), 8).ForEach(worldtest.Within(t), func([]byte) error { panic(errBoom) })
		})
	})
}

func TestPartsNotStarted(t *testing.T) {
	// An executor that takes no more coroutines: every operator that starts parts must say so instead of hanging.
	e, err := executor.New(executor.Config{Workers: 1})
	require.NoError(t, err)
	type result struct {
		name string
		err  error
	}
	results := make(chan result, 10)
	closing := make(chan struct{})
	require.NoError(t, e.Go(func() {
		<-closing
		for executor.Current() != nil && e.Go(func() {}) == nil { // until Shutdown has begun
			executor.Yield()
		}
		for name, s := range map[string]Stream[int]{
			"Buffer": upTo(3, nil).Buffer(1), "Merge": Merge(upTo(3, nil)), "MapConcurrent": MapConcurrent(upTo(3, nil), 2, func(_ context.Context, v int) (int, error) { return v, nil }),
			"Tee": func(ctx context.Context, yield func(int) bool) error { return upTo(3, nil).Tee(1, 1)[0](ctx, yield) },
		} {
			results <- result{name, s.Run(context.Background())}
		}
		close(results)
	}))
	close(closing)
	require.NoError(t, e.Shutdown(worldtest.Within(t)))
	for r := range results {
		require.ErrorIs(t, r.err, executor.ErrShutdown, r.name)
	}
}

// sameAllocs fails unless both measurements agree, once in a few attempts: they count what the whole process allocates.
func sameAllocs(t *testing.T, what string, few, many func() float64) {
	t.Helper()
	a, b := few(), many()
	for attempt := 0; a != b && attempt < 10; attempt++ {
		a, b = few(), many()
	}
	require.Equal(t, a, b, what)
}

// TestSequentialOperatorsAllocateNothing compares runs over few and over many values.
func TestSequentialOperatorsAllocateNothing(t *testing.T) {
	if worldtest.Race {
		t.Skip("the race detector allocates")
	}
	for _, op := range operators()[:10] {
		if op.name == "FlatMap" { // makes a stream per value
			continue
		}
		run := func(n int) float64 {
			s := op.apply(upTo(n, nil))
			ctx := context.Background()
			return testing.AllocsPerRun(10, func() {
				if _, err := Fold(ctx, s, 0, func(a, v int) int { return a + v }); err != nil {
					t.Error(err)
				}
			})
		}
		if op.name == "Buffer 1" {
			run(10)
			run(5000)
			continue
		}
		sameAllocs(t, op.name, func() float64 { return run(10) }, func() float64 { return run(5000) })
	}
}

// What lies in a branch that is never run is released when the whole is given up.
func TestBranchNotRunIsReleased(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		var c counter
		ctx, cancel := context.WithCancel(worldtest.Within(t))
		s := Concat(Map(upTo(10, nil), func(int) held { c.add(1); return held{&c} }), blocked[held]())
		n := 0
		yes, _ := s.Partition(8, func(held) bool { n++; return n%2 == 0 })
		seen := 0
		err := yes.ForEach(ctx, func(h held) error {
			h.Release()
			if seen++; seen == 5 {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) || c.get() != 0 {
			return fmt.Errorf("%v, %d are still held", err, c.get())
		}
		return nil
	})
}

// A stream that panics on its way to a Go channel leaves no goroutine behind (TestMain looks), and its panic passes.
func TestToChanPanics(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) (err error) {
		defer func() {
			if p := recover(); p != any(errBoom) {
				err = fmt.Errorf("recovered %v", p)
			}
		}()
		bad := upTo(3, nil).Tap(func(v int) { panic(errBoom) })
		return errors.Join(bad.ToChan(worldtest.Within(t), make(chan int, 9)), errors.New("did not panic"))
	})
}

// In order, nothing overtakes a panic.
func TestMapConcurrentPanicKeepsOrder(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		for range scaleOrder {
			got, err := MapConcurrent(upTo(9, nil), 4, func(_ context.Context, v int) (int, error) {
				if v == 3 {
					panic(errBoom)
				}
				return v, nil
			}).Collect(worldtest.Within(t))
			if !errors.Is(err, errBoom) || len(got) > 4 {
				return fmt.Errorf("%v, %v", got, err)
			}
		}
		return nil
	})
}

const scaleOrder = 200

// TestWindowTimeIsBounded: a source that is faster than the windows waits, and nothing is lost.
func TestWindowTimeIsBounded(t *testing.T) {
	const n, limit = 200, 8
	for _, step := range []time.Duration{time.Millisecond, 3 * time.Millisecond} { // sliding, tumbling
		worldtest.OnEachSide(t, func(t *testing.T) error {
			var taken, yielded atomic.Int64
			source := upTo(n, nil).Tap(func(int) {
				// Those that wait for their window, one in the pipe, one at its door.
				if ahead := taken.Add(1) - yielded.Load(); ahead > limit+2 {
					t.Errorf("%d values are held", ahead)
				}
			})
			last := -1
			return WindowTime(source, 3*time.Millisecond, step, limit).ForEach(worldtest.Within(t), func(w []int) error {
				if len(w) > limit {
					return fmt.Errorf("a window of %d", len(w))
				}
				for _, v := range w {
					if v > last+1 {
						return fmt.Errorf("%d after %d", v, last)
					}
					last = max(last, v)
				}
				yielded.Store(int64(last + 1))
				return nil
			})
		})
	}
}
