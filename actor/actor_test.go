package actor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/future"
	"github.com/ouro-io/ouro/internal/worldtest"
)

var errBoom = errors.New("boom")

// newSystem makes a system on an executor of n workers that must be empty at the end.
func newSystem(t testing.TB, n int, c Config) *System {
	t.Helper()
	c.Executor = worldtest.NewExecutor(t, n)
	s, err := NewSystem(c)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), worldtest.Hang)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.Zero(t, s.Stats().Actors)
	})
	return s
}

// unwatched is the system's clock, on which the monitor of an executor sleeps until the test is over: it takes no worker from an
// actor that is kept off the CPU.
type unwatched struct {
	began time.Time
	over  chan struct{}
}

func (c *unwatched) Now() int64          { return int64(time.Since(c.began)) + 1 }
func (c *unwatched) Sleep(time.Duration) { <-c.over }

// unwatchedSystem is a system on one worker that is never handed over.
func unwatchedSystem(t *testing.T) (*System, *executor.Executor) {
	clock := &unwatched{time.Now(), make(chan struct{})}
	e, err := executor.New(executor.Config{Workers: 1, Clock: clock})
	require.NoError(t, err)
	s, err := NewSystem(Config{Executor: e})
	require.NoError(t, err)
	t.Cleanup(func() {
		close(clock.over)
		ctx, cancel := context.WithTimeout(context.Background(), worldtest.Hang)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.NoError(t, e.Shutdown(ctx))
	})
	return s, e
}

// simple is Props with a behavior that keeps no state.
func simple[M any](f Behavior[M]) Props[M] {
	return Props[M]{New: func(*Context[M]) (Behavior[M], error) { return f, nil }}
}

func spawn[M any](t testing.TB, parent Parent, p Props[M]) Ref[M] {
	t.Helper()
	r, err := Spawn(parent, p)
	require.NoError(t, err)
	return r
}

func ended[M any](t testing.TB, r Ref[M]) {
	t.Helper()
	_, err := r.Ended().Await(worldtest.Within(t))
	require.NoError(t, err, "hangs: the end of %s", r.Path())
}

// query is a message that asks for an int.
type query struct {
	add   int
	reply Reply[int]
	fail  error
	panic bool
	exit  bool
}

// summing is an actor whose state is a sum.
func summing() Props[query] {
	return Props[query]{New: func(*Context[query]) (Behavior[query], error) {
		sum := 0
		return func(_ *Context[query], m query) error {
			switch {
			case m.panic:
				panic(errBoom)
			case m.exit:
				runtime.Goexit()
			case m.fail != nil:
				return m.fail
			}
			sum += m.add
			m.reply.Send(sum)
			return nil
		}, nil
	}}
}

func askSum(t testing.TB, r Ref[query], add int) int {
	t.Helper()
	v, err := Ask(r, worldtest.Hang, func(reply Reply[int]) query { return query{add: add, reply: reply} }).Await(worldtest.Within(t))
	require.NoError(t, err)
	return v
}

// TestOneAtATimeAndInOrder has many goroutines and coroutines tell one actor, on 1, 2 and 8 workers.
func TestOneAtATimeAndInOrder(t *testing.T) {
	for _, workers := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			s := newSystem(t, workers, Config{})
			type numbered struct{ sender, n int }
			const senders, each = 8, 2000
			var inside atomic.Int32
			var bad atomic.Int64
			last := map[int]int{} // the race detector watches it
			p := simple(func(_ *Context[numbered], m numbered) error {
				if inside.Add(1) != 1 || m.n != last[m.sender]+1 {
					bad.Add(1)
				}
				last[m.sender] = m.n
				if m.n%100 == 0 {
					executor.Yield() // others must not come in
				}
				inside.Add(-1)
				return nil
			})
			p.Overflow, p.Mailbox = Wait, 10
			r := spawn(t, s, p)
			var g sync.WaitGroup
			for i := range senders {
				g.Add(1)
				send := func() {
					defer g.Done()
					for n := range each {
						if r.Tell(numbered{i, n + 1}) != nil {
							bad.Add(1)
						}
					}
				}
				if i%2 == 0 {
					go send()
				} else {
					require.NoError(t, s.exec.Go(send))
				}
			}
			g.Wait()
			r.Drain()
			ended(t, r)
			require.Zero(t, bad.Load())
			for i := range senders {
				require.Equal(t, each, last[i])
			}
		})
	}
}

// TestDifferentActorsRunInParallel: two actors that wait for each other inside a handler can only end if both run.
func TestDifferentActorsRunInParallel(t *testing.T) {
	s := newSystem(t, 2, Config{})
	a, b := make(chan int), make(chan int)
	x := spawn(t, s, simple(func(*Context[int], int) error { a <- 1; <-b; return nil }))
	y := spawn(t, s, simple(func(*Context[int], int) error { <-a; b <- 1; return nil }))
	require.NoError(t, x.Tell(1))
	require.NoError(t, y.Tell(1))
	x.Drain()
	y.Drain()
	ended(t, x)
	ended(t, y)
}

func TestOverflow(t *testing.T) {
	for _, c := range []struct {
		policy Overflow
		want   []int
		dead   []int
		err    error
	}{
		{Reject, []int{0, 1, 2, 3}, []int{4, 5}, ErrMailboxFull},
		{DropNewest, []int{0, 1, 2, 3}, []int{4, 5}, nil},
		{DropOldest, []int{0, 3, 4, 5}, []int{1, 2}, nil},
	} {
		var mu sync.Mutex
		var dead []int
		s := newSystem(t, 1, Config{DeadLetter: func(d DeadLetter) {
			mu.Lock()
			defer mu.Unlock()
			dead = append(dead, d.Message.(int))
		}})
		entered, open := make(chan struct{}), make(chan struct{})
		var got []int
		p := simple(func(_ *Context[int], m int) error {
			if m == 0 {
				close(entered)
				<-open
			}
			got = append(got, m)
			return nil
		})
		p.Mailbox, p.Overflow = 3, c.policy
		r := spawn(t, s, p)
		require.NoError(t, r.Tell(0))
		<-entered
		for i := 1; i <= 5; i++ {
			err := r.Tell(i)
			if i <= 3 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, c.err)
			}
		}
		close(open)
		r.Drain()
		ended(t, r)
		require.Equal(t, c.want, got)
		require.Equal(t, c.dead, dead)
		require.EqualValues(t, len(c.dead), s.Stats().DeadLetters)
		require.ErrorIs(t, r.Tell(9), ErrStopped)
	}
}

func TestAsk(t *testing.T) {
	s := newSystem(t, 2, Config{})
	r := spawn(t, s, summing())
	require.Equal(t, 3, askSum(t, r, 3))
	require.Equal(t, 5, askSum(t, r, 2))

	silent := spawn(t, s, simple(func(*Context[query], query) error { return nil }))
	_, err := Ask(silent, time.Millisecond, func(reply Reply[int]) query { return query{reply: reply} }).Await(worldtest.Within(t))
	var te *future.TimeoutError
	require.ErrorAs(t, err, &te)
	f := Ask(silent, time.Hour, func(reply Reply[int]) query { return query{reply: reply} })
	silent.Drain()
	_, err = f.Await(worldtest.Within(t))
	require.ErrorIs(t, err, ErrStopped)
	_, err = Ask(silent, time.Hour, func(reply Reply[int]) query { return query{reply: reply} }).Await(worldtest.Within(t))
	require.ErrorIs(t, err, ErrStopped)
	ended(t, silent)
	require.Empty(t, silent.address().asks)
	require.Empty(t, r.address().asks)
	require.False(t, Reply[int]{}.Send(1))

	failing := spawn(t, s, simple(func(_ *Context[query], m query) error { m.reply.Fail(errBoom); return nil }))
	_, err = Ask(failing, time.Hour, func(reply Reply[int]) query { return query{reply: reply} }).Await(worldtest.Within(t))
	require.ErrorIs(t, err, errBoom)
	// From an actor, which suspends meanwhile.
	asking := spawn(t, s, simple(func(c *Context[query], m query) error {
		v, err := Ask(r, worldtest.Hang, func(reply Reply[int]) query { return query{add: m.add, reply: reply} }).Await(c.Context())
		m.reply.Send(v * 10)
		return err
	}))
	require.Equal(t, 60, askSum(t, asking, 1))
	require.ErrorIs(t, Ref[int]{}.Tell(1), ErrStopped)
}

func TestBecomeAndTimers(t *testing.T) {
	s, _ := unwatchedSystem(t) // else a timer may ring while the actor is kept off the CPU, before it has stopped that timer
	got := make(chan string, 10)
	r := spawn(t, s, Props[string]{New: func(c *Context[string]) (Behavior[string], error) {
		stop := c.Every(time.Millisecond, "tick")
		c.After(time.Hour, "never")
		c.After(math.MaxInt64, "at the end of time")
		cancelled := c.After(time.Millisecond, "cancelled")
		cancelled()
		n := 0
		var calm Behavior[string] = func(_ *Context[string], m string) error { got <- "calm " + m; return nil }
		return func(c *Context[string], m string) error {
			if n++; n == 3 {
				stop()
				c.Become(calm)
			}
			got <- m
			return nil
		}, nil
	}})
	for range 3 {
		require.Equal(t, "tick", <-got)
	}
	require.NoError(t, r.Tell("message"))
	require.Equal(t, "calm message", <-got)
	r.Drain()
	ended(t, r)
	require.Empty(t, got)
}

// An actor that pipes a result to itself handles other messages meanwhile; a result that comes too late is a dead letter.
func TestPipe(t *testing.T) {
	var dead atomic.Int64
	var gaveUp atomic.Int64
	s := newSystem(t, 2, Config{DeadLetter: func(DeadLetter) { dead.Add(1) }, GaveUp: func(string, error) { gaveUp.Add(1) }})
	var results [5]future.Promise[int]
	next := 0
	got := make(chan string, 10)
	p := simple(func(c *Context[string], m string) error {
		switch m {
		case "ask":
			Pipe(c, results[next].Future(), func(v int, err error) string { return fmt.Sprint(v, err) })
			next++
		case "ask badly":
			Pipe(c, results[next].Future(), func(v int, err error) string { panic(errBoom) })
			next++
		}
		got <- m
		return nil
	})
	p.Mailbox = 1
	r := spawn(t, s, p)
	tell := func(m string) {
		require.NoError(t, r.Tell(m))
		require.Equal(t, m, <-got)
	}
	tell("ask")
	tell("ask")
	tell("other")
	results[0].Resolve(7)
	require.Equal(t, "7 <nil>", <-got)
	results[1].Reject(errBoom)
	require.Equal(t, "0 boom", <-got)
	results[2].Resolve(8)
	tell("ask") // it has settled
	require.Equal(t, "8 <nil>", <-got)
	tell("ask badly")
	results[3].Resolve(9)
	require.Zero(t, gaveUp.Load(), "it goes on")
	tell("ask")
	r.Drain()
	ended(t, r)
	require.Zero(t, dead.Load())
	results[4].Resolve(10)
	require.EqualValues(t, 1, dead.Load())
	require.Empty(t, got)
}

// What a Pipe has brought and the actor's end leaves unhandled is a dead letter, unlike the messages of timers.
func TestPipeIsCountedWhenTheActorStops(t *testing.T) {
	var dead []any
	s := newSystem(t, 1, Config{DeadLetter: func(d DeadLetter) { dead = append(dead, d.Message) }})
	entered, leave := make(chan bool), make(chan bool)
	r := spawn(t, s, Props[int]{New: func(c *Context[int]) (Behavior[int], error) {
		return func(c *Context[int], m int) error {
			for i := range 3 {
				Pipe(c, future.Resolved(i), func(v int, _ error) int { return v })
			}
			close(entered)
			<-leave
			return nil
		}, nil
	}})
	require.NoError(t, r.Tell(-1))
	<-entered
	r.Stop()
	close(leave)
	ended(t, r)
	require.Equal(t, []any{0, 1, 2}, dead)
}

func TestWatch(t *testing.T) {
	s := newSystem(t, 2, Config{})
	told := make(chan string, 10)
	target := spawn(t, s, simple(func(*Context[int], int) error { return nil }))
	gone := spawn(t, s, simple(func(*Context[int], int) error { return nil }))
	gone.Stop()
	ended(t, gone)
	ready := make(chan struct{})
	watcher := spawn(t, s, Props[string]{New: func(c *Context[string]) (Behavior[string], error) {
		c.Watch(target, "target")
		c.Watch(target, "unwatched")()
		c.Watch(gone, "gone")
		close(ready)
		return func(_ *Context[string], m string) error { told <- m; return nil }, nil
	}})
	<-ready
	require.Equal(t, "gone", <-told)
	target.Stop()
	require.Equal(t, "target", <-told)
	// A watcher that ends leaves nothing with whom it watched.
	other := spawn(t, s, simple(func(*Context[int], int) error { return nil }))
	ready = make(chan struct{})
	brief := spawn(t, s, Props[string]{New: func(c *Context[string]) (Behavior[string], error) {
		c.Watch(other, "x")
		close(ready)
		return func(*Context[string], string) error { return nil }, nil
	}})
	<-ready
	brief.Stop()
	ended(t, brief)
	other.address().mu.Lock()
	require.Empty(t, other.address().watchers)
	other.address().mu.Unlock()
	watcher.Drain()
	ended(t, watcher)
	require.Empty(t, told)
}

func TestNamesAndRegistry(t *testing.T) {
	s := newSystem(t, 1, Config{})
	p := summing()
	p.Name = "sum"
	r := spawn(t, s, p)
	require.Equal(t, "/sum", r.Path())
	_, err := Spawn(s, p)
	require.ErrorIs(t, err, ErrName)
	found, err := Lookup[query](s, "/sum")
	require.NoError(t, err)
	require.Equal(t, r, found)
	_, err = Lookup[string](s, "/sum")
	require.ErrorIs(t, err, ErrName)
	_, err = Lookup[query](s, "/other")
	require.ErrorIs(t, err, ErrName)
	p.Name = "a/b"
	_, err = Spawn(s, p)
	require.ErrorIs(t, err, ErrName)
	r.Stop()
	ended(t, r)
	p.Name = "sum"
	spawn(t, s, p) // free again
	for _, bad := range []Props[query]{{}, {New: p.New, Mailbox: -1}, {New: p.New, Overflow: 9}, {New: p.New, Supervision: Supervision{Backoff: -1}}, {New: p.New, Supervision: Supervision{Strategy: 9}}} {
		_, err = Spawn(s, bad)
		require.Error(t, err)
	}
}

// TestAgainstModel sends random messages, failures and drains to an actor and compares what it answers with a plain sum.
func TestAgainstModel(t *testing.T) {
	s := newSystem(t, 2, Config{Supervision: Supervision{MaxRestarts: -1, Decide: func(_ string, err error) Directive {
		if errors.Is(err, errBoom) {
			return Restart
		}
		return Resume
	}}})
	rapid.Check(t, func(rt *rapid.T) {
		r, err := Spawn(s, summing())
		require.NoError(rt, err)
		sum := 0
		var answers []*future.Future[int]
		var want []int
		for range rapid.IntRange(0, 40).Draw(rt, "n") {
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				require.NoError(rt, r.Tell(query{fail: errBoom}))
				sum = 0
			case 1:
				require.NoError(rt, r.Tell(query{panic: true}))
				sum = 0
			case 2:
				require.NoError(rt, r.Tell(query{fail: errors.New("a trifle")}))
			case 3:
				require.NoError(rt, r.Tell(query{exit: true})) // not errBoom: resumed
			default:
				v := rapid.IntRange(1, 9).Draw(rt, "v")
				sum += v
				want = append(want, sum)
				answers = append(answers, Ask(r, worldtest.Hang, func(reply Reply[int]) query { return query{add: v, reply: reply} }))
			}
		}
		r.Drain()
		_, err = r.Ended().Await(worldtest.Within(t))
		require.NoError(rt, err)
		for i, f := range answers {
			v, err := f.Await(worldtest.Within(t))
			require.NoError(rt, err)
			require.Equal(rt, want[i], v)
		}
	})
}

// pingPong has two actors tell each other n messages, window of them under way at a time.
func pingPong(t testing.TB, s *System, n, window int) {
	done := make(chan struct{})
	type ball struct{ left int }
	var a, b Ref[ball]
	started := make(chan struct{})
	var finished atomic.Int32
	hit := func(other *Ref[ball]) Props[ball] {
		p := simple(func(c *Context[ball], m ball) error {
			if m.left == 0 {
				if finished.Add(1) == int32(window) {
					close(done)
				}
				return nil
			}
			return other.Tell(ball{m.left - 1})
		})
		p.Mailbox = window
		return p
	}
	a, b = spawn(t, s, hit(&b)), spawn(t, s, hit(&a))
	close(started)
	for range window {
		require.NoError(t, a.Tell(ball{n / window}))
	}
	<-done
	a.Drain()
	b.Drain()
	ended(t, a)
	ended(t, b)
}

// TestStress passes a million messages on 1, 2 and 8 workers (fewer under -short and -race).
func TestStress(t *testing.T) {
	total := 1_000_000
	if testing.Short() || worldtest.Race {
		total = 50_000
	}
	for _, workers := range []int{1, 2, 8} {
		s := newSystem(t, workers, Config{})
		pingPong(t, s, total/2, 1)
		pingPong(t, s, total/2, 64)
	}
}

func TestTellAllocatesNothing(t *testing.T) {
	if worldtest.Race {
		t.Skip("the race detector allocates")
	}
	s := newSystem(t, 1, Config{})
	echo := make(chan int, 1)
	r := spawn(t, s, simple(func(_ *Context[int], m int) error {
		if m >= 0 {
			echo <- m
		}
		return nil
	}))
	round := func() {
		for range 100 {
			if r.Tell(-1) != nil {
				t.Error("refused")
			}
		}
		_ = r.Tell(1)
		<-echo
	}
	for range 10 {
		round() // the ring grows
	}
	require.Zero(t, testing.AllocsPerRun(50, round))
}

func BenchmarkTell(b *testing.B) {
	for _, workers := range []int{1, 2} {
		for _, window := range []int{1, 64} {
			b.Run(fmt.Sprintf("workers=%d/under way=%d", workers, window), func(b *testing.B) {
				s := newSystem(b, workers, Config{})
				b.ReportAllocs()
				b.ResetTimer()
				pingPong(b, s, b.N, window)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mmsg/s")
			})
		}
	}
	b.Run("two goroutines, channels of 64", func(b *testing.B) {
		x, y := make(chan int, 64), make(chan int, 64)
		b.ReportAllocs()
		go func() {
			for v := range x {
				y <- v
			}
			close(y)
		}()
		for range 64 {
			x <- 1
		}
		for n := 64; n < b.N; n += 2 {
			x <- <-y
		}
		close(x)
		for range y {
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mmsg/s")
	})
}
