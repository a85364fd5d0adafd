//go:build linux

package future

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/worldtest"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// outcome is the model of a future: what it will be once all promises below have settled.
type outcome struct {
	v   int
	err error
}

// TestTreesAgainstModel builds random expressions over promises, settles those in random order from several goroutines,
// and compares every node with a plain evaluation of the same expression.
func TestTreesAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(rt, "promises")
		promises := make([]Promise[int], n)
		var futures []*Future[int]
		var model []func() outcome
		results := make([]outcome, n)
		for i := range promises {
			results[i].v = rapid.IntRange(0, 9).Draw(rt, "value")
			if rapid.Bool().Draw(rt, "fails") {
				results[i] = outcome{0, fmt.Errorf("error %d", i)}
			}
			futures = append(futures, promises[i].Future())
			model = append(model, func() outcome { return results[i] })
		}
		order := rapid.Permutation(indices(n)).Draw(rt, "order")
		early := rapid.IntRange(0, n).Draw(rt, "settled before")
		settle := func(i int) {
			if results[i].err != nil {
				promises[i].Reject(results[i].err)
			} else {
				promises[i].Resolve(results[i].v)
			}
		}
		for _, i := range order[:early] {
			settle(i)
		}
		for range rapid.IntRange(1, 12).Draw(rt, "nodes") {
			a := rapid.IntRange(0, len(futures)-1).Draw(rt, "a")
			b := rapid.IntRange(0, len(futures)-1).Draw(rt, "b")
			f, m := node(rapid.IntRange(0, 8).Draw(rt, "kind"), futures[a], futures[b], model[a], model[b])
			futures, model = append(futures, f), append(model, m)
		}
		var g sync.WaitGroup
		for _, i := range order[early:] {
			g.Add(1)
			go func() { defer g.Done(); settle(i) }()
		}
		g.Wait()
		for i, f := range futures {
			v, err, ok := f.Result()
			want := model[i]()
			if !ok || v != want.v || fmt.Sprint(err) != fmt.Sprint(want.err) {
				rt.Fatalf("node %d: %d, %v, %v; want %v", i, v, err, ok, want)
			}
		}
	})
}

// node makes one future and its model.
func node(kind int, a, b *Future[int], ma, mb func() outcome) (*Future[int], func() outcome) {
	odd := errors.New("odd")
	half := func(v int) (int, error) {
		if v%2 == 1 {
			return 0, odd
		}
		return v / 2, nil
	}
	switch kind {
	case 0:
		return Map(a, func(v int) int { return v * 2 }), func() outcome {
			o := ma()
			return outcome{o.v * 2, o.err}
		}
	case 1:
		return Then(a, half), func() outcome {
			o := ma()
			if o.err == nil {
				o.v, o.err = half(o.v)
			}
			return o
		}
	case 2:
		return Chain(a, func(v int) *Future[int] { return Map(b, func(w int) int { return v + w }) }), func() outcome {
			o, p := ma(), mb()
			if o.err != nil {
				return o
			}
			if p.err != nil {
				return p
			}
			return outcome{o.v + p.v, nil}
		}
	case 3:
		return a.Recover(func(err error) (int, error) { return 1, nil }), func() outcome {
			if o := ma(); o.err == nil {
				return o
			}
			return outcome{1, nil}
		}
	case 4:
		return a.OrElse(func(error) *Future[int] { return b }), func() outcome {
			if o := ma(); o.err == nil {
				return o
			}
			return mb()
		}
	case 5:
		sum := func(rs []Result[int]) int { return rs[0].Value*10 + rs[1].Value }
		return Map(AllSettled(a, b), sum), func() outcome { return outcome{ma().v*10 + mb().v, nil} }
	case 6:
		// Shielded, as an error cancels the other; and only one may fail, or which it is depends on the order.
		text := Map(b.Recover(func(error) (int, error) { return 1, nil }), strconv.Itoa)
		read := func(v int, s string) (int, error) { w, err := strconv.Atoi(s); return v*100 + w, err }
		return Zip(a.Shield(), text.Shield(), read), func() outcome {
			o, p := ma(), mb()
			if o.err != nil {
				return o
			}
			if p.err != nil {
				p.v = 1
			}
			return outcome{o.v*100 + p.v, nil}
		}
	case 7:
		calls := 0
		f := a.Finally(func() { calls++ })
		return f, func() outcome {
			if calls != 1 {
				return outcome{0, fmt.Errorf("fn was called %d times", calls)}
			}
			return ma()
		}
	default:
		return a.Timeout(time.Hour).Shield(), ma
	}
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// TestRacingSettlers has many parties settle, await, cancel and derive at the same time; exactly one may win, and all
// must see its result.
func TestRacingSettlers(t *testing.T) {
	for range 300 {
		var p Promise[int]
		f := p.Future()
		var wins atomic.Int32
		var seen [4]atomic.Int64
		var g sync.WaitGroup
		for i := range 4 {
			g.Add(2)
			go func() {
				defer g.Done()
				if p.Resolve(i + 1) {
					wins.Add(1)
				}
			}()
			go func() {
				defer g.Done()
				v, err := Map(f, func(v int) int { return v * 10 }).Await(context.Background())
				if err == nil {
					seen[i].Store(int64(v))
				}
			}()
		}
		g.Wait()
		require.EqualValues(t, 1, wins.Load())
		v, _, _ := f.Result()
		for i := range seen {
			require.EqualValues(t, v*10, seen[i].Load())
		}
	}
}

// TestStress passes a million results between coroutines (fewer under -short and -race).
func TestStress(t *testing.T) {
	total := 1_000_000
	if testing.Short() || worldtest.Race {
		total = 50_000
	}
	for _, workers := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			e := worldtest.NewExecutor(t, workers)
			const pairs = 8
			var sum atomic.Int64
			var g sync.WaitGroup
			for range pairs {
				g.Add(1)
				require.NoError(t, e.Go(func() {
					defer g.Done()
					for range total / 3 / pairs {
						var p Promise[int]
						f := Then(p.Future(), func(v int) (int, error) { return v + 1, nil })
						if e.Go(func() { p.Resolve(1) }) != nil {
							p.Resolve(1)
						}
						v, _ := f.Await(context.Background())
						sum.Add(int64(v))
					}
				}))
			}
			g.Wait()
			require.EqualValues(t, 2*(total/3/pairs)*pairs, sum.Load())
		})
	}
}

func TestAllocations(t *testing.T) {
	if worldtest.Race {
		t.Skip("the race detector allocates")
	}
	add := func(v int) (int, error) { return v + 1, nil }
	inc := func(v int) int { return v + 1 }
	mend := func(error) (int, error) { return 0, nil }
	const steps = 100
	for name, step := range map[string]func(f *Future[int]) *Future[int]{
		"Then":    func(f *Future[int]) *Future[int] { return Then(f, add) },
		"Map":     func(f *Future[int]) *Future[int] { return Map(f, inc) },
		"Recover": func(f *Future[int]) *Future[int] { return f.Recover(mend) },
		"Finally": func(f *Future[int]) *Future[int] { return f.Finally(func() {}) },
		"Shield":  func(f *Future[int]) *Future[int] { return f.Shield() },
	} {
		for _, late := range []bool{false, true} {
			n := testing.AllocsPerRun(20, func() {
				p := new(Promise[int]) // one
				if !late {
					p.Resolve(1)
				}
				f := p.Future()
				for range steps {
					f = step(f)
				}
				if late {
					p.Resolve(1)
				}
				if !f.Settled() {
					t.Error("not settled")
				}
			})
			require.LessOrEqual(t, n, float64(steps+1), "%s late=%v", name, late)
		}
	}
	e := worldtest.NewExecutor(t, 1)
	require.NoError(t, worldtest.OnCoroutine(t, e, func() error {
		next := make([]Promise[int], 200)
		i := 0
		w := e.Workers()[0]
		var settle resolver
		settle.Init(&settle, executor.Normal)
		n := testing.AllocsPerRun(100, func() {
			settle.p = &next[i]
			i++
			f := settle.p.Future()
			w.Ready(&settle.Task)
			_, _ = f.Await(context.Background())
		})
		if n != 0 {
			return fmt.Errorf("Await allocates %v", n)
		}
		return nil
	}))
}

// resolver resolves a promise in a task.
type resolver struct {
	executor.Task
	p *Promise[int]
}

func (r *resolver) RunTask(*executor.Worker, *executor.Task) { r.p.Resolve(1) }

// TestCancelReachesTheKernel cancels a future over a Write that the kernel does not take, through a chain of
// combinators: the operation must leave the backend, and the future must have its error.
func TestCancelReachesTheKernel(t *testing.T) {
	for _, backend := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		t.Run(backend.String(), func(t *testing.T) {
			if err := denytest.NoRing(); backend == proactor.IOUring && err != nil {
				t.Skip(err)
			}
			e, err := proactor.New(proactor.Config{Backend: backend, Log: func(s string) { t.Log(s) }})
			require.NoError(t, err)
			defer func() { require.NoError(t, e.Shutdown(worldtest.Within(t))) }()
			stack := net.On(e)
			l, err := stack.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			peer := make(chan net.Conn, 1)
			go func() {
				c, err := l.Accept()
				if err == nil {
					peer <- c // and never reads
				}
			}()
			c, err := stack.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			writing := make(chan struct{})
			f := GoOn(e.Executor(), worldtest.Within(t), func(ctx context.Context) (int, error) {
				defer c.Close()
				stop := context.AfterFunc(ctx, func() { _ = c.SetWriteDeadline(time.Unix(1, 0)) })
				defer stop()
				close(writing)
				n, err := c.Write(make([]byte, 64<<20))
				if ctx.Err() != nil && err != nil {
					err = fmt.Errorf("%w: %w", ctx.Err(), err)
				}
				return n, err
			})
			<-writing
			for e.Stats().InFlight == 0 { // until the backend has the send
				runtime.Gosched()
			}
			last := Map(Then(f.Timeout(time.Hour), func(n int) (int, error) { return n, nil }), func(n int) int { return n })
			last.Cancel(errBoom)
			_, err = last.Await(worldtest.Within(t))
			require.ErrorIs(t, err, errBoom)
			require.ErrorIs(t, err, context.Canceled)
			var ne net.Error
			require.True(t, errors.As(err, &ne) && ne.Timeout(), "%v", err)
			require.NoError(t, (<-peer).Close())
			for e.Stats().InFlight > 0 { // nothing may stay with the backend; the test's own limit ends this
				runtime.Gosched()
			}
		})
	}
}
