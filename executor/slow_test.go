package executor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// taker is a clock that tasks let time pass on, as if they had taken it.
type taker struct{ *manualClock }

func (c taker) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += int64(d)
}

// runSlow runs two coroutines that take turns on one worker. Of every so many runs of the first one takes lasts; the other
// is quick. It returns after runs turns, or when one was demoted, and tells which.
func runSlow(t *testing.T, demoteAfter, every, runs int, lasts time.Duration) (slow, quick bool) {
	clock := taker{newManualClock()}
	e := start(t, Config{Workers: 1, Clock: clock, DemoteAfter: demoteAfter})
	t.Cleanup(clock.free)
	w := e.Workers()[0]
	var cos [2]Coroutine
	done := make(chan struct{}, 2)
	stop := false // the worker's: both run on it until one is demoted, and then only that one goes on elsewhere
	body := func(co *Coroutine, each func(i int)) func() {
		return func() {
			defer func() { done <- struct{}{} }()
			for i := 1; i <= runs && !co.Demoted() && !stop; i++ {
				each(i)
				Yield()
			}
			if !co.Demoted() {
				stop = true
			}
		}
	}
	call(t, w, func() {
		require.NoError(t, w.Start(&cos[0], Spawn{Run: body(&cos[0], func(i int) {
			if i%every == 0 {
				clock.pass(lasts)
			}
		})}))
		require.NoError(t, w.Start(&cos[1], Spawn{Run: body(&cos[1], func(int) { clock.pass(time.Microsecond) })}))
	})
	<-done
	<-done
	return cos[0].Demoted(), cos[1].Demoted()
}

// A coroutine that blocks for less than the monitor finds, but again and again, is demoted, and no other.
func TestBriefBlockingDemotes(t *testing.T) {
	for _, every := range []int{1, 2, 8, 12} {
		slow, quick := runSlow(t, 0, every, 2000, time.Millisecond)
		require.True(t, slow, "one run in %d is slow", every)
		require.False(t, quick)
	}
}

// Of very many that block, each is demoted, although it comes to its next run only after the window.
func TestManyBriefBlockersAreDemoted(t *testing.T) {
	clock := taker{newManualClock()}
	e := start(t, Config{Workers: 1, Clock: clock})
	t.Cleanup(clock.free)
	w := e.Workers()[0]
	const all, rounds = 1500, 3 // a round takes longer than DemoteWindow
	bystander := new(Coroutine)
	cos := make([]Coroutine, all)
	done := make(chan struct{}, all)
	call(t, w, func() {
		require.NoError(t, w.Start(bystander, Spawn{Run: func() {
			for range rounds {
				clock.pass(time.Microsecond)
				Yield()
			}
		}}))
		for i := range cos {
			require.NoError(t, w.Start(&cos[i], Spawn{Run: func() {
				defer func() { done <- struct{}{} }()
				for n := 0; n < rounds && !cos[i].Demoted(); n++ {
					clock.pass(time.Millisecond)
					Yield()
				}
			}}))
		}
	})
	for range cos {
		<-done
	}
	require.Greater(t, e.Stats().Demotions, uint64(all*9/10))
	require.False(t, bystander.Demoted(), "it is quick")
}

// What is slow now and then, or only somewhat slow, stays a coroutine.
func TestRareSlownessDoesNotDemote(t *testing.T) {
	for _, c := range []struct {
		name        string
		demoteAfter int
		every       int
		lasts       time.Duration
	}{
		{"one run in 20", 0, 20, time.Millisecond},
		{"a fifth of a millisecond", 0, 1, 200 * time.Microsecond},
		{"further apart than the window", 0, 1, 1100 * time.Millisecond},
		{"switched off", -1, 1, time.Millisecond},
		{"as good as switched off", maxDemoteAfter, 1, time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			slow, quick := runSlow(t, c.demoteAfter, c.every, 2000, c.lasts)
			require.False(t, slow)
			require.False(t, quick)
		})
	}
}

// A worker with one busy coroutine is looked at while the monitor finds it inside tasks.
func TestLoneBlockerIsWatched(t *testing.T) {
	clock := taker{newManualClock()}
	e := start(t, Config{Workers: 1, Clock: clock})
	t.Cleanup(clock.free)
	w := e.Workers()[0]
	co := new(Coroutine)
	in, out, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	require.NoError(t, w.Start(co, Spawn{Run: func() {
		defer close(done)
		in <- struct{}{}
		<-out
		for i := 0; i < 100 && !co.Demoted(); i++ {
			_ = w.Go(func() {}) // work waits
			clock.pass(time.Millisecond)
			Yield()
		}
	}}))
	await(t, in, "the coroutine")
	clock.advance(t, 2*time.Millisecond) // the monitor looks, and finds it inside
	clock.asleep(t)
	close(out)
	await(t, done, "its end")
	require.True(t, co.Demoted())
}

// The end of a coroutine is no demotion, however long its last run took; nor is one that a panic ended.
func TestEndIsNoDemotion(t *testing.T) {
	clock := taker{newManualClock()}
	e := start(t, Config{Workers: 1, Clock: clock, DemoteAfter: 1, OnPanic: func(*PanicError) {}})
	t.Cleanup(clock.free)
	w := e.Workers()[0]
	const all = 40
	done := make(chan struct{}, all)
	call(t, w, func() {
		for i := range all {
			require.NoError(t, w.Start(new(Coroutine), Spawn{Run: func() {
				defer func() { done <- struct{}{} }()
				clock.pass(time.Millisecond)
				if i%2 == 0 {
					panic("slow, and over")
				}
			}}))
		}
	})
	for range all {
		<-done
	}
	call(t, w, func() {
		for range all { // now that each task is timed
			require.NoError(t, w.Start(new(Coroutine), Spawn{Run: func() {
				clock.pass(time.Millisecond)
				done <- struct{}{}
			}}))
		}
	})
	for range all {
		<-done
	}
	call(t, w, func() {})
	require.Zero(t, e.Stats().Demotions)
}
