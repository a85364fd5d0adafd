package executor

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestShutdownWithEverythingPending(t *testing.T) {
	var waiters [20]Waiter
	c := Config{Workers: 2, OnShutdown: func(context.Context) error {
		for i := range waiters {
			waiters[i].Wake()
		}
		return errors.New("from the hook")
	}}
	ds := withDrivers(&c)
	e, err := New(c)
	require.NoError(t, err)
	var ended atomic.Int64
	var armed sync.WaitGroup
	armed.Add(len(waiters))
	for i := range waiters {
		require.NoError(t, e.Workers()[i%2].Go(func() {
			waiters[i].Prepare()
			armed.Done()
			waiters[i].Wait()
			Yield()
			if i == 3 {
				time.Sleep(5 * time.Millisecond) // handed over during the shutdown
			}
			Sleep(time.Millisecond)
			ended.Add(1)
		}))
	}
	awaitGroup(t, &armed, "the coroutines")
	newTimer(e.Workers()[0], func() { t.Error("a timer fired") }).Set(e.clock.Now() + int64(time.Hour))
	var tasks atomic.Int64
	for i := range 100 {
		e.Workers()[i%2].Ready(newTask(Low, func(*Worker) { tasks.Add(1) }))
	}
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	require.EqualError(t, e.Shutdown(ctx), "from the hook")
	require.EqualValues(t, len(waiters), ended.Load())
	require.EqualValues(t, 100, tasks.Load())
	for _, d := range *ds {
		require.EqualValues(t, 1, d.closed.Load())
	}
	// Afterwards everything is refused or does nothing.
	w := e.Workers()[0]
	require.ErrorIs(t, w.Go(func() {}), ErrShutdown)
	require.ErrorIs(t, e.Go(func() {}), ErrShutdown)
	require.False(t, w.Command(newCommand(func(*Worker) { t.Error("ran") })))
	w.Ready(newTask(Normal, func(*Worker) { t.Error("ran") }))
	newTimer(w, func() { t.Error("fired") }).Set(0)
	require.NoError(t, e.Shutdown(ctx))
}

func TestShutdownNamesWhatIsLeft(t *testing.T) {
	e, err := New(Config{Workers: 1})
	require.NoError(t, err)
	var w Waiter
	armed := make(chan struct{})
	require.NoError(t, e.Go(func() {
		w.Prepare()
		close(armed)
		w.Wait()
	}))
	await(t, armed, "the coroutine")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err = e.Shutdown(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "1 coroutines")
	require.ErrorIs(t, e.Go(func() {}), ErrShutdown)
	require.True(t, w.Wake())
	ctx2, cancel2 := context.WithTimeout(context.Background(), hang)
	defer cancel2()
	var g sync.WaitGroup
	for range 3 {
		g.Go(func() {
			if err := e.Shutdown(ctx2); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
}

// Starts and wake-ups race with the shutdown; each coroutine that was accepted ends.
func TestShutdownRaces(t *testing.T) {
	for range 50 {
		e, err := New(Config{Workers: 2})
		require.NoError(t, err)
		var accepted, ended atomic.Int64
		var g sync.WaitGroup
		for range 3 {
			g.Go(func() {
				for {
					err := e.Go(func() { Yield(); ended.Add(1) })
					if errors.Is(err, ErrShutdown) {
						return
					}
					if err == nil {
						accepted.Add(1)
					}
					runtime.Gosched()
				}
			})
		}
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		require.NoError(t, e.Shutdown(ctx))
		cancel()
		g.Wait()
		require.Equal(t, accepted.Load(), ended.Load())
	}
}

// A Shutdown without time does what needs none: no other one is under way.
func TestShutdownWithoutTime(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 20 {
		e := start(t, Config{Workers: 1})
		if err := e.Shutdown(ctx); err != nil {
			require.NotContains(t, err.Error(), "under way")
		}
	}
}
