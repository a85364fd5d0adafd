package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/worldtest"
)

var errBoom = errors.New("boom")

// upTo is 0 … n-1, which ends with err.
func upTo(n int, err error) Stream[int] {
	return func(_ context.Context, yield func(int) bool) error {
		for i := range n {
			if !yield(i) {
				return nil
			}
		}
		return err
	}
}

// operator is one operator with its model on a slice. ends says whether it may hide the source's error by ending early.
type operator struct {
	name  string
	apply func(Stream[int]) Stream[int]
	model func([]int) []int
}

func operators() []operator {
	even := func(v int) bool { return v%2 == 0 }
	odd := func(v int) bool { return v%2 != 0 }
	double := func(v int) int { return v * 2 }
	keep := func(vs []int, ok func(int) bool) (out []int) {
		for _, v := range vs {
			if ok(v) {
				out = append(out, v)
			}
		}
		return out
	}
	each := func(vs []int, f func(int) int) (out []int) {
		for _, v := range vs {
			out = append(out, f(v))
		}
		return out
	}
	same := func(vs []int) []int { return vs }
	flat := func(s Stream[[]int]) Stream[int] {
		return FlatMap(s, func(vs []int) Stream[int] { return Of(vs...) })
	}
	try := func(_ context.Context, v int) (int, error) { executor.Yield(); return v * 2, nil }
	return []operator{
		{"Map", func(s Stream[int]) Stream[int] { return Map(s, double) }, func(vs []int) []int { return each(vs, double) }},
		{"Filter", func(s Stream[int]) Stream[int] { return s.Filter(even) }, func(vs []int) []int { return keep(vs, even) }},
		{"Try", func(s Stream[int]) Stream[int] { return Try(s, try) }, func(vs []int) []int { return each(vs, double) }},
		{"FlatMap", func(s Stream[int]) Stream[int] {
			return FlatMap(s, func(v int) Stream[int] { return Of(v, v) })
		}, func(vs []int) (out []int) {
			for _, v := range vs {
				out = append(out, v, v)
			}
			return out
		}},
		{"Scan", func(s Stream[int]) Stream[int] { return Scan(s, 0, func(a, v int) int { return a + v }) }, func(vs []int) []int {
			sum := 0
			return each(vs, func(v int) int { sum += v; return sum })
		}},
		{"Skip", func(s Stream[int]) Stream[int] { return s.Skip(3) }, func(vs []int) []int { return vs[min(3, len(vs)):] }},
		{"SkipWhile", func(s Stream[int]) Stream[int] { return s.SkipWhile(even) }, func(vs []int) []int {
			if i := slices.IndexFunc(vs, odd); i >= 0 {
				return vs[i:]
			}
			return nil
		}},
		{"Tap", func(s Stream[int]) Stream[int] { return s.Tap(func(int) {}) }, same},
		{"Buffer 1", func(s Stream[int]) Stream[int] { return s.Buffer(1) }, same},
		{"Buffer 5", func(s Stream[int]) Stream[int] { return s.Buffer(5) }, same},
		{"Merge of one", func(s Stream[int]) Stream[int] { return Merge(s) }, same},
		{"MapConcurrent", func(s Stream[int]) Stream[int] { return MapConcurrent(s, 3, try) }, func(vs []int) []int { return each(vs, double) }},
		{"MapUnordered 1", func(s Stream[int]) Stream[int] { return MapUnordered(s, 1, try) }, func(vs []int) []int { return each(vs, double) }},
		{"Window tumbling", func(s Stream[int]) Stream[int] { return flat(Window(s, 3, 3)) }, same},
		{"Window sliding", func(s Stream[int]) Stream[int] { return flat(Window(s, 3, 1)) }, func(vs []int) (out []int) {
			for i := 0; i+3 <= len(vs); i++ {
				out = append(out, vs[i:i+3]...)
			}
			return out
		}},
		{"Window with gaps", func(s Stream[int]) Stream[int] { return flat(Window(s, 2, 3)) }, func(vs []int) (out []int) {
			for i := 0; i < len(vs); i += 3 {
				out = append(out, vs[i:min(i+2, len(vs))]...)
			}
			return out
		}},
		{"Batch", func(s Stream[int]) Stream[int] { return flat(Batch(s, 4, 0)) }, same},
		{"Batch by time", func(s Stream[int]) Stream[int] { return flat(Batch(s, 4, time.Hour)) }, same},
		{"WindowTime", func(s Stream[int]) Stream[int] { return flat(WindowTime(s, time.Hour, time.Hour, 1000)) }, same},
		{"Throttle", func(s Stream[int]) Stream[int] { return s.Throttle(1000, time.Microsecond) }, same},
		{"Timeout", func(s Stream[int]) Stream[int] { return s.Timeout(time.Hour) }, same},
		{"Catch", func(s Stream[int]) Stream[int] { return s.Catch(func(err error) Stream[int] { return Fail[int](err) }) }, same},
		{"Retry", func(s Stream[int]) Stream[int] {
			return s.Retry(func(int, error) (time.Duration, bool) { return 0, false })
		}, same},
		{"Pull", func(s Stream[int]) Stream[int] {
			return func(ctx context.Context, yield func(int) bool) (err error) {
				next, stop := s.Pull(ctx)
				defer func() { err = stop() }()
				for v, ok := next(); ok && yield(v); v, ok = next() {
				}
				return nil
			}
		}, same},
		{"FromFunc", func(s Stream[int]) Stream[int] {
			return func(ctx context.Context, yield func(int) bool) (err error) {
				next, stop := s.Pull(ctx)
				defer func() { err = errors.Join(err, stop()) }()
				return FromFunc(func(context.Context) (int, error) {
					if v, ok := next(); ok {
						return v, nil
					}
					return 0, fmt.Errorf("over: %w", io.EOF)
				}, io.EOF)(ctx, yield)
			}
		}, same},
		{"Zip", func(s Stream[int]) Stream[int] {
			naturals := From(iter.Seq[int](func(yield func(int) bool) {
				for i := 0; yield(i); i++ {
				}
			}))
			return Zip(s, naturals, func(a, b int) int { return a*1000 + b })
		}, func(vs []int) []int {
			i := -1
			return each(vs, func(v int) int { i++; return v*1000 + i })
		}},
		{"Zip the other way", func(s Stream[int]) Stream[int] {
			naturals := From(iter.Seq[int](func(yield func(int) bool) {
				for i := 0; yield(i); i++ {
				}
			}))
			return Zip(naturals, s, func(a, b int) int { return b*1000 + a })
		}, func(vs []int) []int {
			i := -1
			return each(vs, func(v int) int { i++; return v*1000 + i })
		}},
		{"Tee and Merge, sorted by Partition", func(s Stream[int]) Stream[int] {
			return func(ctx context.Context, yield func(int) bool) error {
				two := s.Tee(2, 2)
				return Zip(two[0], two[1], func(a, b int) int { return a - b + a })(ctx, yield)
			}
		}, same},
		{"Partition", func(s Stream[int]) Stream[int] {
			return func(ctx context.Context, yield func(int) bool) error {
				yes, no := s.Partition(1<<16, odd)
				return Concat(yes, no)(ctx, yield)
			}
		}, func(vs []int) []int { return slices.Concat(keep(vs, odd), keep(vs, even)) }},
		{"GroupBy", func(s Stream[int]) Stream[int] {
			type sum struct{ key, n int }
			groups := GroupBy(s, GroupConfig{Groups: 3, Buffer: 2}, func(v int) int { return ((v % 3) + 3) % 3 })
			sums := MapUnordered(groups, 3, func(ctx context.Context, g Group[int, int]) (sum, error) {
				n, err := Fold(ctx, g.Values, 0, func(a, v int) int { return a + v })
				return sum{g.Key, n}, err
			})
			return func(ctx context.Context, yield func(int) bool) error {
				all, err := sums.Collect(ctx)
				slices.SortFunc(all, func(a, b sum) int { return a.key - b.key })
				for _, x := range all {
					if !yield(x.n) {
						return nil
					}
				}
				return err
			}
		}, func(vs []int) (out []int) {
			for k := range 3 {
				sum, some := 0, false
				for _, v := range vs {
					if ((v%3)+3)%3 == k {
						sum, some = sum+v, true
					}
				}
				if some {
					out = append(out, sum)
				}
			}
			return out
		}},
	}
}

// TestAgainstModel puts random operators behind each other and compares with the same on a slice: all values, an early
// end after any number of them, and an error of the source. It runs on a goroutine and on coroutines.
func TestAgainstModel(t *testing.T) {
	ops := operators()
	run := func(rt *rapid.T) error {
		n := rapid.IntRange(0, 30).Draw(rt, "n")
		var want []int
		for i := range n {
			want = append(want, i)
		}
		var err error
		if rapid.Bool().Draw(rt, "fails") {
			err = errBoom
		}
		s := upTo(n, err)
		names := ""
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(ops)-1), 0, 4).Draw(rt, "operators") {
			if err != nil && (ops[i].name == "GroupBy" || ops[i].name == "Zip the other way") {
				continue // what they have at an error is open
			}
			s, want = ops[i].apply(s), ops[i].model(want)
			names += ops[i].name + ", "
		}
		take := rapid.IntRange(0, len(want)+3).Draw(rt, "take")
		ctx := worldtest.Within(t)
		if take <= len(want) {
			got, e := s.Take(take).Collect(ctx)
			if e != nil && !(err != nil && errors.Is(e, err)) || e == nil && !slices.Equal(got, want[:take]) {
				return fmt.Errorf("%s take %d: %v, %v; want %v", names, take, got, e, want[:take])
			}
			return nil
		}
		got, e := s.Collect(ctx)
		if !errors.Is(e, err) || err == nil && !slices.Equal(got, want) {
			return fmt.Errorf("%s: %v, %v; want %v, %v", names, got, e, want, err)
		}
		return nil
	}
	t.Run("goroutine", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) { require.NoError(rt, run(rt)) })
	})
	for _, workers := range []int{1, 2, 8} {
		t.Run(fmt.Sprint("coroutine of ", workers), func(t *testing.T) {
			e := worldtest.NewExecutor(t, workers)
			rapid.Check(t, func(rt *rapid.T) {
				require.NoError(rt, worldtest.OnCoroutine(t, e, func() error { return run(rt) }))
			})
		})
	}
}

func TestMergeKeepsAll(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		const streams, each = 5, 200
		var ss []Stream[int]
		for i := range streams {
			ss = append(ss, Map(upTo(each, nil), func(v int) int { return i*each + v }))
		}
		var last [streams]int
		n := 0
		err := Merge(ss...).ForEach(worldtest.Within(t), func(v int) error {
			if v%each < last[v/each] {
				return fmt.Errorf("stream %d: %d after %d", v/each, v%each, last[v/each])
			}
			last[v/each] = v % each
			n++
			return nil
		})
		if err == nil && n != streams*each {
			err = fmt.Errorf("%d values", n)
		}
		return err
	})
}

func TestMergeFails(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		_, err := Merge(upTo(3, errBoom), blocked[int]()).Collect(worldtest.Within(t))
		if !errors.Is(err, errBoom) {
			return fmt.Errorf("%v", err)
		}
		return nil
	})
}

// TestMapConcurrentIsBounded counts the calls under way.
func TestMapConcurrentIsBounded(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		var now, most, total counter
		s := MapConcurrent(upTo(300, nil), 4, func(ctx context.Context, v int) (int, error) {
			most.max(now.add(1))
			defer now.add(-1)
			for range v % 5 {
				executor.Yield()
			}
			return v, nil
		})
		want := 0
		err := s.ForEach(worldtest.Within(t), func(v int) error {
			if v != want {
				return fmt.Errorf("%d instead of %d", v, want)
			}
			want++
			total.add(1)
			return nil
		})
		if err == nil && (most.get() > 4 || total.get() != 300) {
			err = fmt.Errorf("%d at once, %d in all", most.get(), total.get())
		}
		return err
	})
}

func TestMapConcurrentFails(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		var got []int
		err := MapConcurrent(upTo(100, nil), 4, func(ctx context.Context, v int) (int, error) {
			if v == 10 {
				return 0, errBoom
			}
			if v == 11 {
				executor.Yield()
			}
			return v, nil
		}).ForEach(worldtest.Within(t), func(v int) error { got = append(got, v); return nil })
		for i, v := range got {
			if v != i || v >= 10 {
				return fmt.Errorf("%v before the error", got)
			}
		}
		if !errors.Is(err, errBoom) {
			return fmt.Errorf("%v", err)
		}
		return nil
	})
}

// TestPullAsksOnDemand: the source makes a value only when one is asked for.
func TestPullAsksOnDemand(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		var made counter
		next, stop := upTo(100, nil).Tap(func(int) { made.add(1) }).Pull(worldtest.Within(t))
		for i := range 5 {
			if v, ok := next(); v != i || !ok || made.get() != int64(i+1) {
				return fmt.Errorf("value %d: %d, %v, made %d", i, v, ok, made.get())
			}
		}
		if err := stop(); err != nil || made.get() != 5 {
			return fmt.Errorf("%v, made %d", err, made.get())
		}
		if _, ok := next(); ok {
			return errors.New("a value after stop")
		}
		return nil
	})
}

func TestTwice(t *testing.T) {
	b := upTo(1, nil).Tee(1, 1)[0]
	require.NoError(t, b.Run(worldtest.Within(t)))
	require.ErrorIs(t, b.Run(worldtest.Within(t)), ErrTwice)
}

func TestGroupLimit(t *testing.T) {
	err := MapUnordered(GroupBy(upTo(10, nil), GroupConfig{Groups: 2}, func(v int) int { return v }), 4, func(ctx context.Context, g Group[int, int]) (int, error) {
		return 0, g.Values.Run(ctx)
	}).Run(worldtest.Within(t))
	require.ErrorIs(t, err, ErrGroups)
}

func TestSeqBothWays(t *testing.T) {
	var got []int
	for v, err := range upTo(5, errBoom).Seq(worldtest.Within(t)) {
		if err != nil {
			require.ErrorIs(t, err, errBoom)
			require.Len(t, got, 5)
			break
		}
		got = append(got, v)
	}
	all, err := From2(upTo(5, nil).Seq(worldtest.Within(t))).Collect(worldtest.Within(t))
	require.NoError(t, err)
	require.Equal(t, got, all)
	_, err = From2(upTo(5, errBoom).Seq(worldtest.Within(t))).Collect(worldtest.Within(t))
	require.ErrorIs(t, err, errBoom)
	all, err = From(slices.Values(got)).Collect(worldtest.Within(t))
	require.NoError(t, err)
	require.Equal(t, got, all)
	v, ok, err := upTo(5, nil).Skip(2).First(worldtest.Within(t))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, 2, v)
}

func TestChannels(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		c := make(chan int)
		done := make(chan error, 1)
		go func() {
			done <- upTo(100, nil).ToChan(worldtest.Within(t), c)
			close(c)
		}()
		sum, err := Fold(worldtest.Within(t), FromChan(c), 0, func(a, v int) int { return a + v })
		if err != nil || sum != 4950 {
			return fmt.Errorf("%d, %v", sum, err)
		}
		d := make(chan int, 100)
		if err := upTo(50, errBoom).ToChan(worldtest.Within(t), d); !errors.Is(err, errBoom) || len(d) != 50 {
			return fmt.Errorf("%v, %d sent", err, len(d))
		}
		return <-done
	})
}

func TestRetryAndCatch(t *testing.T) {
	runs := 0
	flaky := Stream[int](func(ctx context.Context, yield func(int) bool) error {
		runs++
		return upTo(2, errBoom)(ctx, yield)
	})
	got, err := flaky.Retry(func(n int, err error) (time.Duration, bool) {
		require.Equal(t, 1, n, "values came in between")
		return time.Microsecond, runs < 3
	}).Collect(worldtest.Within(t))
	require.ErrorIs(t, err, errBoom)
	require.Equal(t, []int{0, 1, 0, 1, 0, 1}, got)
	got, err = upTo(2, errBoom).Catch(func(err error) Stream[int] { require.ErrorIs(t, err, errBoom); return Of(7) }).Collect(worldtest.Within(t))
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 7}, got)
}
