//go:build linux

package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// extras waits until n messages that do not count wait for r, whose handler is held up.
func extras[M any](t *testing.T, r Ref[M], n int) {
	t.Helper()
	a := r.t.(*actor[M])
	await(t, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.extra) == n
	}, "the messages of timers and watches")
}

// idler is an actor that does nothing.
func idler() Props[int] { return simple(func(*Context[int], int) error { return nil }) }

// TestTakeBackWhatWasTaken: a message of a timer or watch that was taken out of the mailbox together with the present one can
// still be taken back, and a restart takes it back too.
func TestTakeBackWhatWasTaken(t *testing.T) {
	for _, how := range []string{"stop", "restart"} {
		s := newSystem(t, 2, Config{})
		target := spawn(t, s, idler())
		target.Stop()
		ended(t, target)
		armed, on := make(chan struct{}), make(chan struct{})
		var e events
		r := spawn(t, s, Props[string]{New: func(c *Context[string]) (Behavior[string], error) {
			var takeBack []func()
			arm := []func() func(){
				func() func() { c.After(0, "first"); return func() {} },
				func() func() { return c.After(0, "once") },
				func() func() { return c.Every(time.Nanosecond, "tick") },
				func() func() { return c.Watch(target, "down") },
			}
			return func(c *Context[string], m string) error {
				e.add(m)
				switch {
				case m == "arm":
					for _, f := range arm {
						takeBack = append(takeBack, f())
						armed <- struct{}{}
						<-on
					}
				case m == "first" && how == "restart":
					return errBoom
				case m == "first":
					for _, f := range takeBack {
						f()
					}
				}
				return nil
			}, nil
		}})
		require.NoError(t, r.Tell("arm"))
		for i := range 4 {
			<-armed
			extras(t, r, i+1)
			if i == 3 {
				require.NoError(t, r.Tell("last"))
			}
			on <- struct{}{}
		}
		await(t, func() bool { return e.count("last") == 1 }, "the last message")
		r.Drain()
		ended(t, r)
		require.Equal(t, []string{"arm", "first", "last"}, e.all, how)
		require.Zero(t, s.Stats().DeadLetters)
	}
}

// What an actor has taken out but not handled when it stops is a dead letter only where it was sent: not of timers.
func TestTakenTimersAreNoDeadLetters(t *testing.T) {
	s := newSystem(t, 2, Config{})
	armed, on := make(chan struct{}), make(chan struct{})
	r := spawn(t, s, simple(func(c *Context[string], m string) error {
		switch m {
		case "arm":
			for _, m := range []string{"first", "second"} {
				c.After(0, m)
				armed <- struct{}{}
				<-on
			}
		case "first":
			c.Stop()
		}
		return nil
	}))
	require.NoError(t, r.Tell("arm"))
	for i := range 2 {
		<-armed
		extras(t, r, i+1)
		on <- struct{}{}
	}
	ended(t, r)
	require.Zero(t, s.Stats().DeadLetters)
}
