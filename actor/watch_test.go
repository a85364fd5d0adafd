//go:build linux

package actor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// watches are how many watches a watcher remembers, and how many are listed with the watched.
func watches[M any](r Ref[M]) (remembered, listed int) {
	c := r.address()
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.watching), len(c.watchers)
}

// TestWatchIsForgotten: nothing is kept of a watch that was taken back, or whose message was handled.
func TestWatchIsForgotten(t *testing.T) {
	s := newSystem(t, 2, Config{})
	target := spawn(t, s, idler())
	down, done := make(chan int), make(chan struct{})
	watcher := spawn(t, s, simple(func(c *Context[int], m int) error {
		switch m {
		case 0:
			for range 100 {
				c.Watch(target, 2)()
				c.Watch(Ref[int]{}, 2)() // nobody, so the message waits already
			}
			done <- struct{}{}
		case 1:
			brief, err := Spawn(s, idler())
			if err != nil {
				return err
			}
			c.Watch(brief, 2)
			brief.Stop()
		default:
			down <- m
		}
		return nil
	}))
	tellAll(t, watcher, 0)
	<-done
	remembered, _ := watches(watcher)
	require.Zero(t, remembered)
	_, listed := watches(target)
	require.Zero(t, listed)
	for range 10 {
		tellAll(t, watcher, 1)
		require.Equal(t, 2, <-down)
	}
	remembered, _ = watches(watcher)
	require.Zero(t, remembered)
	require.Empty(t, down)
}

// TestRestartDropsWatches: New watches anew, and one end is told once.
func TestRestartDropsWatches(t *testing.T) {
	s := newSystem(t, 2, Config{})
	target := spawn(t, s, idler())
	lives, downs := make(chan struct{}, 10), make(chan struct{}, 10)
	watcher := spawn(t, s, Props[int]{New: func(c *Context[int]) (Behavior[int], error) {
		c.Watch(target, 2)
		lives <- struct{}{}
		return func(_ *Context[int], m int) error {
			if m == 2 {
				downs <- struct{}{}
				return nil
			}
			return errBoom
		}, nil
	}})
	<-lives
	for range 5 {
		tellAll(t, watcher, 1)
		<-lives
	}
	remembered, _ := watches(watcher)
	_, listed := watches(target)
	require.Equal(t, []int{1, 1}, []int{remembered, listed})
	target.Stop()
	<-downs
	watcher.Drain()
	ended(t, watcher)
	require.Empty(t, downs)
}

// A watch that the Stopped hook sets is not left with the watched.
func TestWatchSetInStopped(t *testing.T) {
	s := newSystem(t, 1, Config{})
	target := spawn(t, s, idler())
	p := idler()
	p.Stopped = func(c *Context[int]) { c.Watch(target, 1) }
	r := spawn(t, s, p)
	r.Stop()
	ended(t, r)
	_, listed := watches(target)
	require.Zero(t, listed)
}
