package routine

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
)

// jumper is a clock that a test moves on.
type jumper struct{ now atomic.Int64 }

func (c *jumper) Now() int64            { return c.now.Load() }
func (c *jumper) Sleep(d time.Duration) { time.Sleep(d) }

// An Alarm counts from the call, not from the beginning of the worker's turn.
func TestAlarmCountsFromTheCall(t *testing.T) {
	clock := new(jumper)
	clock.now.Store(1)
	e, err := executor.New(executor.Config{Workers: 1, Clock: clock})
	require.NoError(t, err)
	w := e.Workers()[0]
	set, rang := make(chan struct{}), make(chan struct{})
	var a Alarm
	require.NoError(t, w.Go(func() {
		w.Now()                           // the turn's time is 1 from here on
		clock.now.Add(int64(time.Minute)) // a long computation
		a.Init(func() { close(rang) })
		a.Set(time.Second)
		close(set)
	}))
	<-set
	turns := make(chan struct{})
	require.NoError(t, w.Go(func() { executor.Yield(); executor.Yield(); close(turns) }))
	<-turns
	select {
	case <-rang:
		t.Error("it rang before its time")
	default:
	}
	clock.now.Add(int64(2 * time.Second))
	require.NoError(t, w.Go(func() {}))
	select {
	case <-rang:
	case <-time.After(30 * time.Second):
		t.Error("it never rang")
	}
	require.NoError(t, e.Shutdown(context.Background()))
}

// An Alarm for a time beyond the clock's end never rings.
func TestAlarmDoesNotWrapAround(t *testing.T) {
	e, err := executor.New(executor.Config{Workers: 1})
	require.NoError(t, err)
	w := e.Workers()[0]
	stopped := make(chan bool, 1)
	require.NoError(t, w.Go(func() {
		var a Alarm
		a.Init(func() {})
		a.Set(math.MaxInt64)
		executor.Sleep(time.Millisecond)
		stopped <- a.Stop()
	}))
	require.True(t, <-stopped)
	require.NoError(t, e.Shutdown(context.Background()))
}
