package future

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/worldtest"
)

var errBoom = errors.New("boom")

func TestPromiseSettlesOnce(t *testing.T) {
	var p Promise[int]
	require.False(t, p.Future().Settled())
	require.True(t, p.Resolve(1))
	require.False(t, p.Resolve(2))
	require.False(t, p.Reject(errBoom))
	v, err, ok := p.Future().Result()
	require.True(t, ok)
	require.NoError(t, err)
	require.Equal(t, 1, v)
	require.Panics(t, func() { p.Reject(nil) })
}

func TestAwaitEverywhere(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		f := Go(worldtest.Within(t), func(ctx context.Context) (string, error) { executor.Yield(); return "x", nil })
		v, err := f.Await(worldtest.Within(t))
		if v != "x" || err != nil {
			return fmt.Errorf("%q, %v", v, err)
		}
		v, err = f.Await(context.Background()) // settled
		if v != "x" || err != nil {
			return fmt.Errorf("%q, %v", v, err)
		}
		var p Promise[int]
		go p.Resolve(7)
		n, err := p.Future().Await(context.Background())
		if n != 7 || err != nil {
			return fmt.Errorf("%d, %v", n, err)
		}
		return nil
	})
}

// TestAwaitContext ends waits by their context at the one point where they suspend, and sees that the future's list
// forgets them and that the others still get the result.
func TestAwaitContext(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		var p Promise[int]
		f := p.Future()
		for range 100 {
			ctx, cancel := context.WithCancelCause(context.Background())
			go cancel(errBoom)
			if _, err := f.Await(ctx); !errors.Is(err, errBoom) {
				return fmt.Errorf("got %v", err)
			}
		}
		f.mu.Lock()
		left := f.first
		f.mu.Unlock()
		if left != nil {
			return errors.New("a waiter that gave up is still listed")
		}
		p.Resolve(3)
		if v, err := f.Await(worldtest.Within(t)); v != 3 || err != nil {
			return fmt.Errorf("%d, %v", v, err)
		}
		return nil
	})
}

func TestGoEndsInEveryWay(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		ctx := worldtest.Within(t)
		_, err := Go(ctx, func(context.Context) (int, error) { panic(errBoom) }).Await(ctx)
		var p *executor.PanicError
		if !errors.As(err, &p) || !errors.Is(err, errBoom) || len(p.Stack) == 0 {
			return fmt.Errorf("panic: %v", err)
		}
		_, err = Go(ctx, func(context.Context) (int, error) { runtime.Goexit(); return 1, nil }).Await(ctx)
		if !errors.Is(err, executor.ErrGoexit) {
			return fmt.Errorf("goexit: %v", err)
		}
		f := Go(ctx, func(ctx context.Context) (int, error) {
			var never Promise[int]
			return never.Future().Await(ctx)
		})
		f.Cancel(errBoom)
		if _, err = f.Await(ctx); !errors.Is(err, errBoom) {
			return fmt.Errorf("cancel: %v", err)
		}
		// A function that reports the bare end of its context still tells why.
		f = Go(ctx, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		f.Cancel(errBoom)
		if _, err = f.Await(ctx); !errors.Is(err, errBoom) || !errors.Is(err, context.Canceled) {
			return fmt.Errorf("cause: %v", err)
		}
		return nil
	})
}

func TestGoOnRefused(t *testing.T) {
	e, err := executor.New(executor.Config{Workers: 1})
	require.NoError(t, err)
	v, err := GoOn(e, worldtest.Within(t), func(context.Context) (bool, error) { return executor.Current() != nil, nil }).Await(worldtest.Within(t))
	require.NoError(t, err)
	require.True(t, v, "it is a coroutine")
	require.NoError(t, e.Shutdown(worldtest.Within(t)))
	_, err = GoOn(e, worldtest.Within(t), func(context.Context) (bool, error) { return true, nil }).Await(worldtest.Within(t))
	require.ErrorIs(t, err, executor.ErrShutdown)
}

// TestErrorsKeepTheirCause sends one error through every combinator.
func TestErrorsKeepTheirCause(t *testing.T) {
	base := &os.PathError{Op: "open", Path: "x", Err: io.ErrUnexpectedEOF}
	pass := func(v int) (int, error) { return v + 1, nil }
	for name, build := range map[string]func(f *Future[int]) *Future[int]{
		"Then":  func(f *Future[int]) *Future[int] { return Then(f, pass) },
		"Map":   func(f *Future[int]) *Future[int] { return Map(f, func(v int) int { return v }) },
		"Chain": func(f *Future[int]) *Future[int] { return Chain(f, func(v int) *Future[int] { return Resolved(v) }) },
		"Chain to an error": func(f *Future[int]) *Future[int] {
			return Chain(Resolved(1), func(int) *Future[int] { return f })
		},
		"Recover": func(f *Future[int]) *Future[int] {
			return f.Recover(func(err error) (int, error) { return 0, fmt.Errorf("again: %w", err) })
		},
		"OrElse": func(f *Future[int]) *Future[int] {
			return f.OrElse(func(err error) *Future[int] { return Rejected[int](err) })
		},
		"Finally": func(f *Future[int]) *Future[int] { return f.Finally(func() {}) },
		"Zip left": func(f *Future[int]) *Future[int] {
			return Zip(f, Resolved("a"), func(v int, _ string) (int, error) { return v, nil })
		},
		"Zip right": func(f *Future[int]) *Future[int] {
			return Zip(new(Promise[string]).Future(), f, func(_ string, v int) (int, error) { return v, nil })
		},
		"Shield":  func(f *Future[int]) *Future[int] { return f.Shield() },
		"Timeout": func(f *Future[int]) *Future[int] { return f.Timeout(time.Hour) },
		"All":     func(f *Future[int]) *Future[int] { return Map(All(Resolved(1), f), func(v []int) int { return v[0] }) },
		"AllSettled": func(f *Future[int]) *Future[int] {
			return Then(AllSettled(f), func(r []Result[int]) (int, error) { return r[0].Value, r[0].Err })
		},
		"Any":  func(f *Future[int]) *Future[int] { return Any(f, Rejected[int](errBoom)) },
		"Race": func(f *Future[int]) *Future[int] { return Race(f) },
		"Retry": func(f *Future[int]) *Future[int] {
			return Retry(worldtest.Within(t), RetryConfig{Min: 1, Attempts: 2}, func(ctx context.Context) (int, error) { return f.Await(ctx) })
		},
		"Go": func(f *Future[int]) *Future[int] {
			return Go(worldtest.Within(t), func(ctx context.Context) (int, error) { return f.Await(ctx) })
		},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s late=%v", name, late), func(t *testing.T) {
				var p Promise[int]
				if !late {
					p.Reject(base)
				}
				f := build(p.Future())
				if late {
					require.True(t, p.Reject(base))
				}
				_, err := f.Await(worldtest.Within(t))
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				var pe *os.PathError
				require.ErrorAs(t, err, &pe)
				require.Same(t, base, pe)
			})
		}
	}
}

// TestPanicsInFunctions has every function of the user panic and exit; nobody else may suffer.
func TestPanicsInFunctions(t *testing.T) {
	bad := map[string]func(){"panic": func() { panic(errBoom) }, "goexit": runtime.Goexit}
	for how, fail := range bad {
		for name, build := range map[string]func(f *Future[int]) *Future[int]{
			"Then":  func(f *Future[int]) *Future[int] { return Then(f, func(int) (int, error) { fail(); return 0, nil }) },
			"Map":   func(f *Future[int]) *Future[int] { return Map(f, func(int) int { fail(); return 0 }) },
			"Chain": func(f *Future[int]) *Future[int] { return Chain(f, func(int) *Future[int] { fail(); return nil }) },
			"Recover": func(f *Future[int]) *Future[int] {
				return failing(f).Recover(func(error) (int, error) { fail(); return 0, nil })
			},
			"OrElse": func(f *Future[int]) *Future[int] {
				return failing(f).OrElse(func(error) *Future[int] { fail(); return nil })
			},
			"Finally":           func(f *Future[int]) *Future[int] { return f.Finally(fail) },
			"Finally, an error": func(f *Future[int]) *Future[int] { return Then(f, refuse).Finally(fail) },
			"Zip": func(f *Future[int]) *Future[int] {
				return Zip(f, Resolved(""), func(int, string) (int, error) { fail(); return 0, nil })
			},
		} {
			t.Run(how+" "+name, func(t *testing.T) {
				var p Promise[int]
				f := build(p.Future())
				after := Map(p.Future(), func(v int) int { return v + 1 })
				go p.Resolve(1)
				_, err := f.Await(worldtest.Within(t))
				if how == "panic" {
					require.ErrorIs(t, err, errBoom)
				} else {
					require.ErrorIs(t, err, executor.ErrGoexit)
				}
				v, err := after.Await(worldtest.Within(t))
				require.NoError(t, err)
				require.Equal(t, 2, v)
			})
		}
	}
}

func refuse(int) (int, error) { return 0, io.EOF }

func failing(f *Future[int]) *Future[int] {
	return Then(f, func(int) (int, error) { return 0, errBoom })
}

func TestChainOfNil(t *testing.T) {
	_, err := Chain(Resolved(1), func(int) *Future[int] { return nil }).Await(worldtest.Within(t))
	require.ErrorIs(t, err, errNoFuture)
}

// TestLongChain settles a chain that would overflow the stack if each step called the next.
func TestLongChain(t *testing.T) {
	const steps = 300_000
	var p Promise[int]
	f := p.Future()
	for range steps {
		f = Map(f, func(v int) int { return v + 1 })
	}
	p.Resolve(0)
	v, err, ok := f.Result()
	require.True(t, ok)
	require.NoError(t, err)
	require.Equal(t, steps, v)
}

// TestListenersInOrder: those of one future are told in the order in which they came.
func TestListenersInOrder(t *testing.T) {
	var p Promise[int]
	var got []int
	for i := range 10 {
		Map(p.Future(), func(int) int { got = append(got, i); return i })
	}
	p.Resolve(0)
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, got)
}

// TestCancelReachesTheSource enumerates the combinators: each must hand a cancellation on to a promise below.
func TestCancelReachesTheSource(t *testing.T) {
	for name, build := range map[string]func(f *Future[int]) *Future[int]{
		"Then":    func(f *Future[int]) *Future[int] { return Then(f, func(v int) (int, error) { return v, nil }) },
		"Map":     func(f *Future[int]) *Future[int] { return Map(f, func(v int) int { return v }) },
		"Chain 1": func(f *Future[int]) *Future[int] { return Chain(f, func(v int) *Future[int] { return Resolved(v) }) },
		"Chain 2": func(f *Future[int]) *Future[int] { return Chain(Resolved(1), func(int) *Future[int] { return f }) },
		"Recover": func(f *Future[int]) *Future[int] { return f.Recover(func(err error) (int, error) { return 0, err }) },
		"OrElse 1": func(f *Future[int]) *Future[int] {
			return f.OrElse(func(err error) *Future[int] { return Rejected[int](err) })
		},
		"OrElse 2": func(f *Future[int]) *Future[int] {
			return Rejected[int](errBoom).OrElse(func(error) *Future[int] { return f })
		},
		"Finally": func(f *Future[int]) *Future[int] { return f.Finally(func() {}) },
		"Zip": func(f *Future[int]) *Future[int] {
			return Zip(f, Resolved(true), func(v int, _ bool) (int, error) { return v, nil })
		},
		"Zip that failed": func(f *Future[int]) *Future[int] {
			return Zip(Rejected[bool](errBoom), f, func(bool, int) (int, error) { return 0, nil })
		},
		"Timeout": func(f *Future[int]) *Future[int] { return f.Timeout(time.Hour) },
		"All":     func(f *Future[int]) *Future[int] { return Map(All(f, f), func(v []int) int { return v[0] }) },
		"Any":     func(f *Future[int]) *Future[int] { return Any(f) },
		"Race":    func(f *Future[int]) *Future[int] { return Race(f) },
		"All that failed": func(f *Future[int]) *Future[int] {
			return Map(All(f, Rejected[int](errBoom)), func([]int) int { return 0 })
		},
		"Race that is won": func(f *Future[int]) *Future[int] { return Race(f, Resolved(1)) },
		"Any that is won":  func(f *Future[int]) *Future[int] { return Any(f, Resolved(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			var p Promise[int]
			var causes []error
			p.OnCancel(func(cause error) { causes = append(causes, cause); p.Reject(cause) })
			f := build(p.Future())
			f.Cancel(io.EOF)
			f.Cancel(io.ErrNoProgress)
			require.Len(t, causes, 1, "the hook is called once")
			require.True(t, f.Settled())
		})
	}
}

// TestCancelWhileChainRuns cancels a Chain while its function runs, when the source has settled and the second future
// is not known.
func TestCancelWhileChainRuns(t *testing.T) {
	var p, second Promise[int]
	var f *Future[int]
	f = Chain(p.Future(), func(int) *Future[int] {
		f.Cancel(errBoom)
		return second.Future()
	})
	p.Resolve(1)
	_, err := f.Await(worldtest.Within(t))
	require.ErrorIs(t, err, errBoom)
	require.True(t, second.Future().Settled())
}

func TestShield(t *testing.T) {
	var p Promise[int]
	f := p.Future().Shield()
	f.Cancel(errBoom)
	_, err := f.Await(worldtest.Within(t))
	require.ErrorIs(t, err, errBoom)
	require.False(t, p.Future().Settled())
	p.Resolve(1)
}

func TestGroups(t *testing.T) {
	ctx := worldtest.Within(t)
	v, err := All(Resolved(1), Resolved(2)).Await(ctx)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, v)
	v, err = All[int]().Await(ctx)
	require.NoError(t, err)
	require.Empty(t, v)
	r, err := AllSettled(Resolved(1), Rejected[int](errBoom)).Await(ctx)
	require.NoError(t, err)
	require.Equal(t, []Result[int]{{1, nil}, {0, errBoom}}, r)
	one, err := Any(Rejected[int](errBoom), Resolved(5)).Await(ctx)
	require.NoError(t, err)
	require.Equal(t, 5, one)
	_, err = Any(Rejected[int](errBoom), Rejected[int](io.EOF)).Await(ctx)
	require.ErrorIs(t, err, errBoom)
	require.ErrorIs(t, err, io.EOF)
	_, err = Any[int]().Await(ctx)
	require.Error(t, err)
	_, err = Race[int]().Await(ctx)
	require.Error(t, err)
}

func TestTime(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		ctx := worldtest.Within(t)
		if v, err := Delay(time.Millisecond, 3).Await(ctx); v != 3 || err != nil {
			return fmt.Errorf("delay: %d, %v", v, err)
		}
		d := Delay(time.Hour, 3)
		d.Cancel(errBoom)
		if _, err := d.Await(ctx); !errors.Is(err, errBoom) {
			return fmt.Errorf("delay cancelled: %v", err)
		}
		var p Promise[int]
		_, err := p.Future().Timeout(time.Millisecond).Await(ctx)
		var te *TimeoutError
		if !errors.As(err, &te) || !te.Timeout() || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("timeout: %v", err)
		}
		if _, err, ok := p.Future().Result(); !ok || err != error(te) {
			return fmt.Errorf("the source was not cancelled with the same error: %v", err)
		}
		if v, err := Map(Delay(time.Millisecond, 1), func(v int) int { executor.Sleep(time.Millisecond); return v + 1 }).Timeout(time.Hour).Await(ctx); v != 2 || err != nil {
			return fmt.Errorf("a function that waits, after a delay: %d, %v", v, err)
		}
		return nil
	})
}

func TestRetry(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		ctx := worldtest.Within(t)
		n := 0
		v, err := Retry(ctx, RetryConfig{Attempts: 5, Min: time.Microsecond}, func(context.Context) (int, error) {
			if n++; n < 4 {
				return 0, errBoom
			}
			return n, nil
		}).Await(ctx)
		if v != 4 || err != nil {
			return fmt.Errorf("%d, %v", v, err)
		}
		n = 0
		_, err = Retry(ctx, RetryConfig{Attempts: 2, Min: time.Microsecond}, func(context.Context) (int, error) {
			if n++; n == 1 {
				return 0, io.EOF
			}
			panic(errBoom)
		}).Await(ctx)
		if n != 2 || !errors.Is(err, io.EOF) || !errors.Is(err, errBoom) {
			return fmt.Errorf("%d calls, %v", n, err)
		}
		// Cancel ends a pause.
		var calls atomic.Int32
		var once sync.Once
		failed := make(chan struct{})
		f := Retry(ctx, RetryConfig{Min: time.Hour, NoJitter: true}, func(context.Context) (int, error) {
			calls.Add(1)
			once.Do(func() { close(failed) })
			return 0, io.EOF
		})
		for calls.Load() == 0 {
			executor.Yield()
		}
		<-failed
		f.Cancel(errBoom)
		if _, err = f.Await(ctx); !errors.Is(err, errBoom) || !errors.Is(err, io.EOF) || calls.Load() != 1 {
			return fmt.Errorf("cancel: %v", err)
		}
		_, err = Retry(ctx, RetryConfig{Again: func(err error) bool { return err != io.EOF }}, func(context.Context) (int, error) {
			return 0, io.EOF
		}).Await(ctx)
		var re *RetryError
		if !errors.As(err, &re) || len(re.Errors) != 1 {
			return fmt.Errorf("again: %v", err)
		}
		return nil
	})
	for _, c := range []RetryConfig{{Attempts: -1}, {Min: -1}, {Min: 2, Max: 1}, {Factor: 0.5}} {
		_, err := Retry(worldtest.Within(t), c, func(context.Context) (int, error) { return 1, nil }).Await(worldtest.Within(t))
		require.ErrorContains(t, err, "future: RetryConfig")
	}
}

func TestRetryPause(t *testing.T) {
	c := RetryConfig{Min: 10, Max: 50, NoJitter: true}
	require.NoError(t, c.fill())
	require.Equal(t, []time.Duration{10, 20, 40, 50}, []time.Duration{c.pause(1), c.pause(2), c.pause(3), c.pause(400)})
	c.NoJitter = false
	for range 100 {
		require.LessOrEqual(t, c.pause(2), time.Duration(20))
	}
}

// A future that lives long does not gather the listeners of those that were derived from it and are over.
func TestListenersGoAway(t *testing.T) {
	listeners := func(f *Future[int]) (n int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for l := f.first; l != nil; l = l.next {
			n++
		}
		return n
	}
	var stop Promise[int]
	stop.OnCancel(func(error) {}) // a cancellation does not end it
	for range 10 {
		stop.Future().Shield().Cancel(nil)
		require.Zero(t, listeners(stop.Future()), "Shield")
		_, err := Race(stop.Future(), Resolved(1)).Await(worldtest.Within(t))
		require.NoError(t, err)
		_, err = Any(Resolved(1), stop.Future()).Await(worldtest.Within(t))
		require.NoError(t, err)
		require.Zero(t, listeners(stop.Future()), "group")
		_, err = stop.Future().Timeout(time.Nanosecond).Await(worldtest.Within(t))
		require.Error(t, err)
		require.Zero(t, listeners(stop.Future()), "Timeout")
	}
	stop.Resolve(1)
}

// What waits for a Timeout is told although the hook that its cancellation calls panics.
func TestTimeoutHookPanics(t *testing.T) {
	e := worldtest.NewExecutor(t, 1)
	require.Error(t, worldtest.OnCoroutine(t, e, func() error {
		var p Promise[int]
		p.OnCancel(func(error) { panic("hook") })
		_, err := p.Future().Timeout(time.Millisecond).Await(context.Background())
		return err
	}))
}

// A cancel hook that panics, or calls runtime.Goexit, settles its own future, and takes nobody else along: the others are
// cancelled, and who waits for the group is told.
func TestCancelHookFails(t *testing.T) {
	for name, hook := range map[string]func(error){
		"panic":  func(error) { panic("boom") },
		"goexit": func(error) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			worldtest.OnEachSide(t, func(t *testing.T) error {
				var first, bad, last Promise[int]
				bad.OnCancel(hook)
				cancelled := make(chan struct{})
				last.OnCancel(func(cause error) { close(cancelled); last.Reject(cause) })
				race := Race(first.Future(), bad.Future(), last.Future())
				after := Map(race, func(v int) int { return v + 1 })
				done := make(chan struct{})
				go func() { defer close(done); first.Resolve(1) }()
				<-done
				if v, err := after.Await(worldtest.Within(t)); v != 2 || err != nil {
					return fmt.Errorf("%d, %v", v, err)
				}
				if _, err := last.Future().Await(worldtest.Within(t)); err == nil {
					return errors.New("not cancelled")
				}
				<-cancelled
				_, err := bad.Future().Await(worldtest.Within(t))
				var p *executor.PanicError
				switch {
				case name == "panic" && (!errors.As(err, &p) || p.Value != "boom" || !strings.Contains(string(p.Stack), "TestCancelHookFails")):
					return fmt.Errorf("ended with %v", err)
				case name == "goexit" && err != executor.ErrGoexit:
					return fmt.Errorf("ended with %v", err)
				}
				return nil
			})
		})
	}
}

// A Zip that has failed leaves nothing at the other future, which may live long.
func TestZipLeavesNothingBehind(t *testing.T) {
	bad := Map(Resolved(0), func(int) int { panic(errors.New("bad")) })
	var p Promise[int]
	p.OnCancel(func(error) {}) // it goes on
	for range 100 {
		_, err := Zip(bad, p.Future(), func(int, int) (int, error) { return 0, nil }).Await(t.Context())
		require.ErrorContains(t, err, "bad")
	}
	f := p.Future()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Nil(t, f.first)
}

// A function that returns a value with its error has failed: see Result.
func TestErrorsHaveNoValue(t *testing.T) {
	both := func() (int, error) { return 1, errBoom }
	var p Promise[int]
	for name, f := range map[string]*Future[int]{
		"Go":      Go(t.Context(), func(context.Context) (int, error) { return both() }),
		"Then":    Then(p.Future(), func(int) (int, error) { return both() }),
		"Recover": failing(p.Future()).Recover(func(error) (int, error) { return both() }),
		"Zip":     Zip(p.Future(), p.Future(), func(int, int) (int, error) { return both() }),
	} {
		p.Resolve(0)
		rs, err := AllSettled(f).Await(worldtest.Within(t))
		require.NoError(t, err)
		require.Equal(t, []Result[int]{{0, errBoom}}, rs, name)
	}
}
