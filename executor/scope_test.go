package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// onEach runs f on a goroutine without an executor, on a goroutine with one, and on a coroutine.
func onEach(t *testing.T, f func(t *testing.T, c ScopeConfig)) {
	t.Run("goroutines", func(t *testing.T) { f(t, ScopeConfig{}) })
	for _, n := range []int{1, 2} {
		t.Run(fmt.Sprintf("executor of %d", n), func(t *testing.T) {
			f(t, ScopeConfig{Executor: start(t, Config{Workers: n})})
		})
	}
	t.Run("coroutine", func(t *testing.T) {
		e := start(t, Config{Workers: 2})
		call(t, e.Workers()[0], func() { f(t, ScopeConfig{}) })
	})
}

func newScope(t *testing.T, ctx context.Context, c ScopeConfig) *Scope {
	s, err := NewScope(ctx, c)
	require.NoError(t, err)
	return s
}

type closer func() error

func (c closer) Close() error { return c() }

func TestScopeWaitsForAll(t *testing.T) {
	onEach(t, func(t *testing.T, c ScopeConfig) {
		s := newScope(t, context.Background(), c)
		var n atomic.Int32
		for range 50 {
			require.NoError(t, s.Go(func(context.Context) error {
				Yield()
				return s.GoAs(Child{Goroutine: true}, func(context.Context) error {
					n.Add(1)
					return nil
				})
			}))
		}
		require.NoError(t, s.Wait())
		require.EqualValues(t, 50, n.Load())
		require.NoError(t, s.Wait(), "a second Wait")
		require.ErrorIs(t, s.Go(func(context.Context) error { return nil }), ErrScopeEnded)
		require.Error(t, s.Context().Err())
	})
}

func TestScopeFirstErrorCancelsTheRest(t *testing.T) {
	boom := errors.New("boom")
	onEach(t, func(t *testing.T, c ScopeConfig) {
		s := newScope(t, context.Background(), c)
		for range 10 {
			require.NoError(t, s.Go(func(ctx context.Context) error { return SleepContext(ctx, time.Hour) }))
		}
		require.NoError(t, s.Go(func(context.Context) error { return boom }))
		require.Equal(t, boom, s.Wait())
		require.Equal(t, boom, context.Cause(s.Context()))
	})
}

func TestScopeKeepGoing(t *testing.T) {
	onEach(t, func(t *testing.T, c ScopeConfig) {
		c.KeepGoing = true
		s := newScope(t, context.Background(), c)
		errs := []error{errors.New("a"), errors.New("b")}
		for _, err := range errs {
			require.NoError(t, s.Go(func(context.Context) error { return err }))
		}
		require.NoError(t, s.Go(func(ctx context.Context) error {
			require.NoError(t, SleepContext(ctx, time.Millisecond))
			return nil
		}))
		err := s.Wait()
		for _, want := range errs {
			require.ErrorIs(t, err, want)
		}
	})
}

func TestScopePanicAndGoexit(t *testing.T) {
	onEach(t, func(t *testing.T, c ScopeConfig) {
		s := newScope(t, context.Background(), c)
		require.NoError(t, s.Go(func(context.Context) error { panic(io.ErrNoProgress) }))
		err := s.Wait()
		var p *PanicError
		require.ErrorAs(t, err, &p)
		require.ErrorIs(t, err, io.ErrNoProgress)
		require.Contains(t, string(p.Stack), "scope_test.go")

		s = newScope(t, context.Background(), c)
		require.NoError(t, s.Go(func(context.Context) error { runtime.Goexit(); return nil }))
		require.ErrorIs(t, s.Wait(), ErrGoexit)

		closed := false
		err = RunScope(context.Background(), c, func(s *Scope) error {
			require.NoError(t, s.Defer(func(context.Context) error { closed = true; panic("closing") }))
			panic("body")
		})
		require.ErrorContains(t, err, "body")
		require.ErrorContains(t, err, "closing")
		require.True(t, closed)
	})
}

// A Goexit in the body of RunScope goes on only after the children have ended.
func TestRunScopeGoexit(t *testing.T) {
	var ended atomic.Bool
	var g sync.WaitGroup
	g.Go(func() {
		_ = RunScope(context.Background(), ScopeConfig{}, func(s *Scope) error {
			_ = s.Go(func(ctx context.Context) error {
				<-ctx.Done()
				ended.Store(true)
				return nil
			})
			runtime.Goexit()
			return nil
		})
	})
	awaitGroup(t, &g, "the scope")
	require.True(t, ended.Load())
}

func TestScopeLimit(t *testing.T) {
	const limit = 3
	onEach(t, func(t *testing.T, c ScopeConfig) {
		c.Limit = limit
		s := newScope(t, context.Background(), c)
		var now, most, n atomic.Int32
		for range 40 {
			require.NoError(t, s.Go(func(context.Context) error {
				if v := now.Add(1); v > most.Load() {
					most.Store(v)
				}
				Yield()
				Sleep(time.Microsecond)
				now.Add(-1)
				n.Add(1)
				return nil
			}))
		}
		require.NoError(t, s.Wait())
		require.EqualValues(t, 40, n.Load())
		require.LessOrEqual(t, most.Load(), int32(limit))

		// A full scope that is cancelled refuses who waits for a place.
		s = newScope(t, context.Background(), c)
		for range limit {
			require.NoError(t, s.Go(func(ctx context.Context) error { return SleepContext(ctx, time.Hour) }))
		}
		ok, err := s.TryGo(func(context.Context) error { return nil })
		require.False(t, ok)
		require.NoError(t, err)
		refused := make(chan error, 1)
		go func() { refused <- s.Go(func(context.Context) error { return errors.New("ran") }) }()
		until(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.places) == 1 }, "the waiting Go")
		s.Cancel(nil)
		require.ErrorIs(t, <-refused, ErrScopeEnded)
		require.NoError(t, s.Wait())
	})
}

func TestScopeOwns(t *testing.T) {
	for _, how := range []string{"done", "failed", "cancelled", "parent"} {
		t.Run(how, func(t *testing.T) {
			onEach(t, func(t *testing.T, c ScopeConfig) {
				boom := errors.New("boom")
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				s := newScope(t, ctx, c)
				var order []int
				for i := range 4 {
					require.NoError(t, s.Own(closer(func() error { order = append(order, i); return nil })))
				}
				require.NoError(t, s.Defer(func(ctx context.Context) error {
					order = append(order, 4)
					return ctx.Err() // not cancelled with the scope
				}))
				require.NoError(t, s.Go(func(context.Context) error { Yield(); return nil }))
				var want error
				switch how {
				case "failed":
					require.NoError(t, s.Go(func(context.Context) error { return boom }))
					want = boom
				case "cancelled":
					s.Cancel(boom)
					want = boom
				case "parent":
					cancel(boom)
					want = boom
				}
				require.Equal(t, want, s.Wait())
				require.Equal(t, []int{4, 3, 2, 1, 0}, order)
				late := false
				require.ErrorIs(t, s.Own(closer(func() error { late = true; return boom })), ErrScopeEnded)
				require.True(t, late, "what is owned too late is closed at once")
			})
		})
	}
}

// A child that does not look at its context, but is stuck in something that the scope owns, is freed by the closing
// after the time of grace, not before.
func TestScopeGrace(t *testing.T) {
	onEach(t, func(t *testing.T, c ScopeConfig) {
		c.Grace = 20 * time.Millisecond
		s := newScope(t, context.Background(), c)
		r, w := io.Pipe()
		require.NoError(t, s.Own(r))
		var closed time.Time
		require.NoError(t, s.Go(func(context.Context) error {
			_, err := w.Write([]byte("nobody reads this"))
			closed = time.Now()
			return err
		}))
		cancelled := time.Now()
		s.Cancel(nil)
		require.ErrorIs(t, s.Wait(), io.ErrClosedPipe)
		require.GreaterOrEqual(t, closed.Sub(cancelled), c.Grace, "closed before the grace was used")
	})
}

// Do makes its caller a child.
func TestScopeDo(t *testing.T) {
	onEach(t, func(t *testing.T, c ScopeConfig) {
		c.Limit = 1
		s := newScope(t, context.Background(), c)
		in := make(chan struct{})
		var ended atomic.Bool
		go func() {
			_ = s.Do(func(ctx context.Context) error {
				close(in)
				<-ctx.Done()
				ended.Store(true)
				return ctx.Err()
			})
		}()
		<-in
		ok, err := s.TryGo(func(context.Context) error { return nil })
		require.NoError(t, err)
		require.False(t, ok, "it has a place")
		s.Cancel(nil)
		require.NoError(t, s.Wait())
		require.True(t, ended.Load())
		require.ErrorIs(t, s.Do(nil), ErrScopeEnded)
		s = newScope(t, context.Background(), c)
		require.Error(t, s.Do(func(context.Context) error { panic("do") }))
		require.ErrorContains(t, s.Wait(), "do")
	})
}

func TestScopeTimeout(t *testing.T) {
	onEach(t, func(t *testing.T, c ScopeConfig) {
		c.Timeout = time.Millisecond
		err := RunScope(context.Background(), c, func(s *Scope) error {
			return s.Go(func(ctx context.Context) error { return SleepContext(ctx, time.Hour) })
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// Who passes on that the scope takes no more children says nothing new: the scope's own reason stays.
func TestScopeRefusalIsNoReason(t *testing.T) {
	stopped := errors.New("stopped")
	for cause, want := range map[error]error{nil: nil, stopped: stopped, context.DeadlineExceeded: context.DeadlineExceeded} {
		onEach(t, func(t *testing.T, c ScopeConfig) {
			refused := func(s *Scope) error { return s.Go(func(context.Context) error { return nil }) }
			require.Equal(t, want, RunScope(context.Background(), c, func(s *Scope) error {
				s.Cancel(cause)
				return refused(s)
			}), "of the body")
			require.Equal(t, want, RunScope(context.Background(), c, func(s *Scope) error {
				return s.Go(func(context.Context) error {
					s.Cancel(cause)
					return refused(s)
				})
			}), "of a child")
		})
	}
}

func TestScopeRefusesBadConfig(t *testing.T) {
	for _, c := range []ScopeConfig{{Limit: -1}, {Limit: MaxScopeLimit + 1}, {Timeout: -1}} {
		_, err := NewScope(context.Background(), c)
		require.Error(t, err)
		require.Error(t, RunScope(context.Background(), c, nil))
	}
	require.Panics(t, func() { _ = newScope(t, context.Background(), ScopeConfig{}).Defer(nil) })
}

// Many children spawn, fail and are cancelled at once; nothing may be left.
func TestScopeStress(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	for _, workers := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			e := start(t, Config{Workers: workers})
			for round := range rounds {
				var started, ended atomic.Int32
				err := RunScope(context.Background(), ScopeConfig{Executor: e, Limit: 1 + round%7}, func(s *Scope) error {
					for i := range 30 {
						err := s.Go(func(ctx context.Context) error {
							started.Add(1)
							defer ended.Add(1)
							if i == round%30 {
								return io.EOF
							}
							return SleepContext(ctx, time.Duration(i)*time.Microsecond)
						})
						if err != nil {
							require.Equal(t, ErrScopeEnded, err)
							break
						}
					}
					return nil
				})
				require.Equal(t, io.EOF, err)
				require.Equal(t, started.Load(), ended.Load())
			}
		})
	}
}

func TestAlarm(t *testing.T) {
	e := start(t, Config{Workers: 2})
	for name, run := range map[string]func(f func()){
		"goroutine": func(f func()) { f() },
		"coroutine": func(f func()) { call(t, e.Workers()[0], f) },
	} {
		t.Run(name, func(t *testing.T) {
			run(func() {
				a := After(time.Microsecond)
				require.NoError(t, a.Wait(context.Background()))
				require.True(t, a.Ready())
				require.NoError(t, a.Wait(context.Background()))

				ctx, cancel := context.WithCancel(context.Background())
				long := After(time.Hour)
				go cancel()
				require.ErrorIs(t, long.Wait(ctx), context.Canceled)
				require.ErrorIs(t, SleepContext(ctx, time.Hour), context.Canceled)
				require.Empty(t, long.subs)
				require.True(t, long.Stop())
				require.False(t, long.Stop())
				require.False(t, long.Ready())
			})
		})
	}
}

// Of many events that happen at once exactly one is the Choice's.
func TestChoiceOneClaim(t *testing.T) {
	const rounds, sources = 2000, 4
	e := start(t, Config{Workers: 2})
	body := func() {
		var c Choice
		for range rounds {
			var claims atomic.Int32
			var winner atomic.Int32
			var g sync.WaitGroup
			c.Prepare()
			for i := range sources {
				g.Add(1)
				go func() {
					defer g.Done()
					if c.Claim(i) {
						claims.Add(1)
						winner.Store(int32(i))
						c.Wake()
					}
				}()
			}
			if i := c.Wait(); i != int(winner.Load()) {
				t.Errorf("Wait returned %d, not the winner %d", i, winner.Load())
			}
			g.Wait()
			if claims.Load() != 1 {
				t.Errorf("%d claims", claims.Load())
			}
		}
	}
	body()
	call(t, e.Workers()[0], body)
}

// A Wake and the end of the context race: exactly one counts, and what was handed over is not lost.
func TestWaitContextRace(t *testing.T) {
	const rounds = 3000
	e := start(t, Config{Workers: 2})
	body := func() {
		var w Waiter
		for range rounds {
			var mu sync.Mutex
			queued, handed := true, false
			ctx, cancel := context.WithCancel(context.Background())
			w.Prepare()
			var g sync.WaitGroup
			g.Go(cancel)
			g.Go(func() {
				mu.Lock()
				mine := queued
				queued = false
				handed = handed || mine
				mu.Unlock()
				if mine && !w.Wake() {
					t.Error("claimed, but not waiting")
				}
			})
			err := w.WaitContext(ctx, func() bool {
				mu.Lock()
				defer mu.Unlock()
				mine := queued
				queued = false
				return mine
			})
			g.Wait()
			if (err == nil) != handed {
				t.Fatalf("WaitContext returned %v, handed over: %v", err, handed)
			}
		}
	}
	body()
	call(t, e.Workers()[0], body)
}

// A coroutine that never has to wait yields when its budget is spent, so that others of its worker run.
func TestBudget(t *testing.T) {
	for _, c := range []struct {
		config, spawn int
		yields        int
	}{{100, 0, 10}, {0, 50, 20}, {100, -1, 0}, {1 << 20, 0, 0}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			e := startUnwatched(t, Config{Workers: 1, CoroutineBudget: c.config, DemoteAfter: -1})
			done := make(chan int, 1)
			require.NoError(t, e.Workers()[0].Start(new(Coroutine), Spawn{Budget: c.spawn, Run: func() {
				n := 0
				for range 1000 {
					if Checkpoint(1) {
						n++
					}
				}
				done <- n
			}}))
			require.Equal(t, c.yields, <-done)
		})
	}
	require.False(t, Checkpoint(1<<30), "on a goroutine")
}

// Ended coroutines leave their stacks to later ones, also after a panic, and none is left at the end.
func TestStacksAreUsedAgain(t *testing.T) {
	e := startUnwatched(t, Config{Workers: 1, OnPanic: func(*PanicError) {}})
	w := e.Workers()[0]
	var seen []uintptr
	for i := range 20 {
		call(t, w, func() {
			seen = append(seen, getg())
			if i%3 == 0 {
				panic("leave the stack whole")
			}
		})
	}
	slices.Sort(seen)
	require.Len(t, slices.Compact(seen), 1)
	var g sync.WaitGroup
	g.Add(3 * keepStacks)
	for range 3 * keepStacks {
		require.NoError(t, w.Go(func() { defer g.Done(); Sleep(time.Millisecond) }))
	}
	awaitGroup(t, &g, "the coroutines")
	call(t, w, func() {
		if n := len(w.stacks); n > keepStacks {
			t.Errorf("%d idle stacks", n)
		}
	})
}

// A child that is refused by a panic does not count: Wait returns.
func TestScopeBadChild(t *testing.T) {
	onEach(t, func(t *testing.T, c ScopeConfig) {
		s := newScope(t, context.Background(), c)
		require.Panics(t, func() { _ = s.Go(nil) })
		require.Panics(t, func() { _, _ = s.TryGo(nil) })
		require.Panics(t, func() {
			_ = s.GoAs(Child{Priority: priorities}, func(context.Context) error { return nil })
		})
		require.NoError(t, s.Wait())
	})
}

// A function given to Defer that calls runtime.Goexit ends who called Wait, and nobody else: the other functions are called,
// and others that wait get their answer.
func TestGoexitInDefer(t *testing.T) {
	e := start(t, Config{Workers: 1})
	for _, coroutine := range []bool{false, true} {
		s, err := NewScope(context.Background(), ScopeConfig{Executor: e})
		require.NoError(t, err)
		var order []int
		var other error
		waits, answered, gone := make(chan struct{}), make(chan struct{}), make(chan struct{})
		require.NoError(t, s.Defer(func(context.Context) error { order = append(order, 1); return nil }))
		require.NoError(t, s.Defer(func(context.Context) error { order = append(order, 2); runtime.Goexit(); return nil }))
		require.NoError(t, s.Defer(func(context.Context) error {
			order = append(order, 3)
			go func() { close(waits); other = s.Wait(); close(answered) }()
			<-waits
			return nil
		}))
		wait := func() {
			defer close(gone)
			_ = s.Wait()
			t.Error("came back from a Goexit")
		}
		if coroutine {
			require.NoError(t, e.Workers()[0].Go(wait))
		} else {
			go wait()
		}
		for _, c := range []chan struct{}{gone, answered} {
			select {
			case <-c:
			case <-time.After(hang):
				t.Fatal("a Wait hangs")
			}
		}
		require.Equal(t, []int{3, 2, 1}, order)
		require.ErrorIs(t, other, ErrGoexit)
		require.ErrorIs(t, s.Wait(), ErrGoexit)
	}
}

// A panic of a child is an error also when the scope was cancelled before, whatever its value.
func TestScopePanicAfterCancel(t *testing.T) {
	onEach(t, func(t *testing.T, c ScopeConfig) {
		s := newScope(t, context.Background(), c)
		started := make(chan struct{})
		require.NoError(t, s.GoAs(Child{Goroutine: true}, func(ctx context.Context) error {
			close(started)
			<-ctx.Done()
			panic(ctx.Err())
		}))
		<-started
		s.Cancel(nil)
		var p *PanicError
		require.ErrorAs(t, s.Wait(), &p)
	})
}
