package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/routine"
	"github.com/ouro-io/ouro/internal/worldtest"
)

// A sink takes no value more once its context has ended, also from a source that only computes.
func TestSinksLookBetweenValues(t *testing.T) {
	source := From(slices.Values(make([]int, 100)))
	sinks := map[string]func(ctx context.Context, f func()) error{
		"ForEach": func(ctx context.Context, f func()) error {
			return source.ForEach(ctx, func(int) error { f(); return nil })
		},
		"Fold": func(ctx context.Context, f func()) error {
			_, err := Fold(ctx, source, 0, func(a, _ int) int { f(); return a })
			return err
		},
		"Collect": func(ctx context.Context, f func()) error {
			_, err := source.Tap(func(int) { f() }).Collect(ctx)
			return err
		},
		"Run": func(ctx context.Context, f func()) error { return source.Tap(func(int) { f() }).Run(ctx) },
		"Seq": func(ctx context.Context, f func()) error {
			for _, err := range source.Seq(ctx) {
				if err != nil {
					return err
				}
				f()
			}
			return nil
		},
	}
	for name, sink := range sinks {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			n := 0
			err := sink(ctx, func() {
				if n++; n == 3 {
					cancel(errBoom)
				}
			})
			require.ErrorIs(t, err, errBoom)
			require.Equal(t, 3, n)
		})
	}
}

// A batch that an error, or the end of the context, has interrupted is given before it, with a time limit or without.
func TestBatchGivesTheRest(t *testing.T) {
	for name, op := range map[string]func(Stream[int]) Stream[[]int]{
		"Batch":          func(s Stream[int]) Stream[[]int] { return Batch(s, 3, 0) },
		"Batch by time":  func(s Stream[int]) Stream[[]int] { return Batch(s, 3, time.Hour) },
		"Window":         func(s Stream[int]) Stream[[]int] { return Window(s, 3, 3) },
		"Window, a gap":  func(s Stream[int]) Stream[[]int] { return Window(s, 3, 4).Tap(func(w []int) { w[0]-- }) },
		"Window by time": func(s Stream[int]) Stream[[]int] { return WindowTime(s, time.Hour, time.Hour, 9) },
	} {
		worldtest.OnEachSide(t, func(t *testing.T) error {
			got, err := op(upTo(5, errBoom)).Collect(worldtest.Within(t))
			if n := len(slices.Concat(got...)); !errors.Is(err, errBoom) || n != 5 && name != "Window, a gap" || n < 4 {
				return fmt.Errorf("%s: %v, %v", name, got, err)
			}
			got, err = op(upTo(7, errBoom)).Take(1).Collect(worldtest.Within(t))
			if len(got) != 1 || err != nil && !errors.Is(err, errBoom) {
				return fmt.Errorf("%s, stopped: %v, %v", name, got, err)
			}
			return nil
		})
	}
}

// In order too the first error ends calls for values before it, which may wait for nothing but that.
func TestMapConcurrentErrorEndsOthers(t *testing.T) {
	for name, m := range map[string]func(Stream[int], int, func(context.Context, int) (int, error)) Stream[int]{
		"MapConcurrent": MapConcurrent[int, int], "MapUnordered": MapUnordered[int, int],
	} {
		worldtest.OnEachSide(t, func(t *testing.T) error {
			var ended atomic.Int32
			got, err := m(upTo(9, nil), 3, func(ctx context.Context, v int) (int, error) {
				if v == 2 {
					return 0, errBoom
				}
				err := routine.Sleep(ctx, time.Hour)
				ended.Add(1)
				return v, err
			}).Collect(worldtest.Within(t))
			if !errors.Is(err, errBoom) || len(got) > 0 || ended.Load() != 2 {
				return fmt.Errorf("%s: %v, %v, %d have ended", name, got, err, ended.Load())
			}
			return nil
		})
	}
}

// The values before an error of the source come, in order, though their calls end after it.
func TestMapConcurrentBeforeAnError(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		got, err := MapConcurrent(upTo(5, errBoom), 3, func(_ context.Context, v int) (int, error) { return v, nil }).Collect(worldtest.Within(t))
		if !errors.Is(err, errBoom) || !slices.Equal(got, []int{0, 1, 2, 3, 4}) {
			return fmt.Errorf("%v, %v", got, err)
		}
		return nil
	})
}

// Whatever ends a MapConcurrent or a GroupBy, what was on its way is released once.
func TestConcurrentReleases(t *testing.T) {
	pass := func(_ context.Context, h held) (held, error) { return h, nil }
	groups := func(s Stream[held]) Stream[Group[int, held]] {
		n := 0
		return GroupBy(s, GroupConfig{Buffer: 2}, func(held) int { n++; return n % 3 })
	}
	values := func(s Stream[Group[int, held]]) Stream[held] {
		return FlatMap(MapUnordered(s, 3, func(ctx context.Context, g Group[int, held]) (int, error) { return 0, g.Values.Run(ctx) }),
			func(int) Stream[held] { return Of[held]() })
	}
	for name, op := range map[string]func(Stream[held]) Stream[held]{
		"MapConcurrent": func(s Stream[held]) Stream[held] { return MapConcurrent(s, 3, pass) },
		"MapUnordered":  func(s Stream[held]) Stream[held] { return MapUnordered(s, 3, pass) },
		"GroupBy":       func(s Stream[held]) Stream[held] { return values(groups(s)) },
		"GroupBy, too many": func(s Stream[held]) Stream[held] {
			n := 0
			return Map(GroupBy(s, GroupConfig{Groups: 2}, func(held) int { n++; return n }), func(g Group[int, held]) held { g.Release(); return held{new(counter)} }).
				Catch(func(err error) Stream[held] {
					if errors.Is(err, ErrGroups) {
						err = errBoom
					}
					return Fail[held](err)
				})
		},
		"GroupBy, one":     func(s Stream[held]) Stream[held] { return values(groups(s).Take(1)) },
		"GroupBy, without": func(s Stream[held]) Stream[held] { return values(groups(s).Skip(9)) },
	} {
		t.Run(name, func(t *testing.T) {
			worldtest.OnEachSide(t, func(t *testing.T) error {
				for _, end := range []error{nil, errBoom} {
					for take := 1; take < 12; take++ {
						var c counter
						s := func(ctx context.Context, yield func(held) bool) error {
							return Map(upTo(10, end), func(int) held { c.add(1); return held{&c} })(ctx, yield)
						}
						err := op(s).Take(take).Run(worldtest.Within(t))
						if c.get() != 0 || err != nil && !errors.Is(err, errBoom) && !errors.Is(err, errStopped) {
							return fmt.Errorf("take %d: %d are still held, %v", take, c.get(), err)
						}
					}
				}
				return nil
			})
		})
	}
}

// Groups may be filtered: the values of those left out hold nothing up.
func TestGroupsFiltered(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		groups := GroupBy(upTo(900, nil), GroupConfig{Buffer: 1}, func(v int) int { return v % 3 })
		sums, err := MapUnordered(groups.Filter(func(g Group[int, int]) bool { return g.Key == 1 }), 1, func(ctx context.Context, g Group[int, int]) (int, error) {
			return Fold(ctx, g.Values, 0, func(a, _ int) int { return a + 1 })
		}).Collect(worldtest.Within(t))
		if err != nil || !slices.Equal(sums, []int{300}) {
			return fmt.Errorf("%v, %v", sums, err)
		}
		return nil
	})
}

// FromChan receives what is asked for, and leaves the rest to others.
func TestFromChanTakesWhatIsAskedFor(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		c := make(chan int, 9)
		for i := range 9 {
			c <- i
		}
		got, err := FromChan(c).Take(3).Collect(worldtest.Within(t))
		if err != nil || !slices.Equal(got, []int{0, 1, 2}) || len(c) != 6 {
			return fmt.Errorf("%v, %v, %d are left", got, err, len(c))
		}
		return nil
	})
}

// A Pull that the end of its context has ended says so.
func TestPullTellsWhyItEnded(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		ctx, cancel := context.WithCancelCause(worldtest.Within(t))
		next, stop := Of(1, 2, 3).Pull(ctx)
		_, first := next()
		cancel(errBoom)
		if _, ok := next(); !first || ok {
			return fmt.Errorf("a value after the end: %v, %v", first, ok)
		}
		if err := stop(); !errors.Is(err, errBoom) {
			return fmt.Errorf("stop: %v", err)
		}
		next, stop = Of(1, 2, 3).Pull(worldtest.Within(t))
		next()
		return errors.Join(stop(), stop())
	})
}

// The carriage return at the end of a line does not count.
func TestLinesLimit(t *testing.T) {
	for _, c := range []struct {
		in   string
		fits bool
	}{
		{"123\r\n", true}, {"123\n", true}, {"123\r", true}, {"12\r\r\n", true}, {"1234\n", false}, {"1234", false}, {"123\r\r\n", false}, {"123\r4\n", false},
	} {
		for n := 1; n <= len(c.in); n++ {
			got, err := Own(Lines(cutUp([]byte(c.in+"ab\n"), []byte{byte(n - 1)}), 3)).Collect(t.Context())
			if c.in[len(c.in)-1] != '\n' { // the last line has no end
				got, err = Own(Lines(cutUp([]byte(c.in), []byte{byte(n - 1)}), 3)).Collect(t.Context())
			}
			if !c.fits {
				require.ErrorIs(t, err, ErrFrameTooLong, "%q by %d", c.in, n)
				continue
			}
			require.NoError(t, err, "%q by %d", c.in, n)
			require.Equal(t, strings.TrimSuffix(strings.TrimSuffix(c.in, "\n"), "\r"), string(got[0]))
		}
	}
}
