//go:build linux

package actor

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// escalating is an actor whose only child is a gated one or, with depth, another escalating actor above that. It escalates all.
func escalating(depth int, handled *atomic.Int32, bottom chan Ref[int]) Props[int] {
	return Props[int]{
		Supervision: Supervision{Decide: func(string, error) Directive { return Escalate }},
		New: func(c *Context[int]) (Behavior[int], error) {
			none := func(*Context[int], int) error { return nil }
			if depth > 0 {
				_, err := Spawn(c, escalating(depth-1, handled, bottom))
				return none, err
			}
			r, err := Spawn(c, gated(nil, handled))
			bottom <- r
			return none, err
		},
	}
}

// TestEscalateAndResume: whoever resumes a parent resumes the child whose failure it has escalated, too, from any depth.
func TestEscalateAndResume(t *testing.T) {
	for depth := range 3 {
		s := newSystem(t, 2, Config{Supervision: Supervision{Decide: func(string, error) Directive { return Resume }}})
		var handled atomic.Int32
		bottom := make(chan Ref[int], 1)
		spawn(t, s, escalating(depth, &handled, bottom))
		r := <-bottom
		for n := range int32(3) {
			tellAll(t, r, -1, 1)
			await(t, func() bool { return handled.Load() == n+1 }, "the message behind the failure")
		}
		require.EqualValues(t, 3*(depth+2), s.Stats().Failures)
	}
}

// failing is an actor with n children that all fail at their first message, and decides by decide.
func failing(n int, lives *atomic.Int32, kids chan<- Ref[int], decide func(string, error) Directive) Props[int] {
	return Props[int]{Supervision: Supervision{Decide: decide}, New: func(c *Context[int]) (Behavior[int], error) {
		if lives.Add(1) > 1 {
			n = 0
		}
		for range n {
			var failed bool
			r, err := Spawn(c, simple(func(*Context[int], int) error {
				if !failed {
					failed = true
					return errBoom
				}
				return nil
			}))
			if err != nil {
				return nil, err
			}
			kids <- r
		}
		return func(*Context[int], int) error { return nil }, nil
	}}
}

// TestEscalateTogether: children that fail while their parent's failure is not decided about are a part of it.
func TestEscalateTogether(t *testing.T) {
	const n = 12
	for _, verdict := range []Directive{Restart, Resume} {
		var lives, gaveUp atomic.Int32
		judged, goOn := make(chan bool, n), make(chan bool)
		s := newSystem(t, 2, Config{
			GaveUp: func(string, error) { gaveUp.Add(1) },
			Supervision: Supervision{MaxRestarts: 1, Decide: func(string, error) Directive {
				judged <- true
				<-goOn
				return verdict
			}},
		})
		kids := make(chan Ref[int], n)
		var escalated atomic.Int32
		spawn(t, s, failing(n, &lives, kids, func(string, error) Directive { escalated.Add(1); return Escalate }))
		var all []Ref[int]
		for range n {
			r := <-kids
			all = append(all, r)
			require.NoError(t, r.Tell(0))
		}
		<-judged
		await(t, func() bool { return escalated.Load() == n }, "all to fail")
		await(t, func() bool { return s.Stats().Failures == n+1 }, "one failure of the parent")
		close(goOn)
		if verdict == Restart {
			await(t, func() bool { return lives.Load() == 2 }, "the restart")
		}
		for _, r := range all {
			if verdict == Restart {
				ended(t, r)
				continue
			}
			r.Drain()
			ended(t, r)
		}
		require.Zero(t, gaveUp.Load())
		require.Empty(t, judged)
	}
}

// TestGoexitWhileDeciding: a Decide that ends its goroutine has decided nothing, and the child is not forgotten.
func TestGoexitWhileDeciding(t *testing.T) {
	var lives atomic.Int32
	s := newSystem(t, 2, Config{Supervision: Supervision{Decide: func(string, error) Directive { return Resume }}})
	kids := make(chan Ref[int], 1)
	spawn(t, s, failing(1, &lives, kids, func(string, error) Directive { runtime.Goexit(); return Restart }))
	r := <-kids
	require.NoError(t, r.Tell(0))
	require.NoError(t, r.Tell(1))
	r.Drain()
	ended(t, r)
	require.Zero(t, s.Stats().DeadLetters)
}

// Resume where New has failed is a restart, which the limit counts: there is no state to go on with.
func TestResumeWhereNewFailed(t *testing.T) {
	for _, escalate := range []bool{false, true} {
		var gaveUp atomic.Int32
		s := newSystem(t, 2, Config{
			Supervision: Supervision{MaxRestarts: 2, Decide: func(string, error) Directive { return Resume }},
			GaveUp:      func(string, error) { gaveUp.Add(1) },
		})
		var lives, handled atomic.Int32
		p := func(succeeds int32) Props[int] {
			bad := Props[int]{New: func(*Context[int]) (Behavior[int], error) {
				if lives.Add(1) != succeeds {
					return nil, errBoom
				}
				return func(*Context[int], int) error { handled.Add(1); return nil }, nil
			}}
			if !escalate {
				return bad
			}
			return Props[int]{
				Supervision: Supervision{Decide: func(string, error) Directive { return Escalate }},
				New: func(c *Context[int]) (Behavior[int], error) {
					child, err := Spawn(c, bad)
					return func(_ *Context[int], m int) error { return child.Tell(m) }, err
				},
			}
		}
		r := spawn(t, s, p(2))
		tellAll(t, r, 1)
		if !escalate { // else the child of the first life may have been told
			await(t, func() bool { return handled.Load() == 1 }, "the second life")
		}
		await(t, func() bool { return lives.Load() == 2 }, "the second life")
		require.Zero(t, gaveUp.Load())
		r.Stop()
		ended(t, r)

		lives.Store(0)
		r = spawn(t, s, p(-1))
		ended(t, r)
		require.EqualValues(t, 1, gaveUp.Load())
		require.LessOrEqual(t, lives.Load(), int32(3))
	}
}

// A New that panics in a restart leaves nothing of the state before it.
func TestResumeWhereNewPanicked(t *testing.T) {
	first := true
	s := newSystem(t, 2, Config{Supervision: Supervision{Decide: func(_ string, err error) Directive {
		if first {
			first = false
			return Restart
		}
		return Resume
	}}})
	lives := 0
	seen := make(chan int, 1)
	r := spawn(t, s, Props[int]{New: func(*Context[int]) (Behavior[int], error) {
		lives++
		life := lives
		if life == 2 {
			panic(errBoom)
		}
		return func(_ *Context[int], m int) error {
			if m < 0 {
				return errBoom
			}
			seen <- life
			return nil
		}, nil
	}})
	tellAll(t, r, -1, 1)
	require.Equal(t, 3, <-seen)
}
