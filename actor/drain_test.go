//go:build linux

package actor

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/worldtest"
)

// gated is an actor that handles 0 once gate is open, fails at negative numbers, and counts the rest.
func gated(gate chan struct{}, handled *atomic.Int32) Props[int] {
	return simple(func(_ *Context[int], m int) error {
		switch {
		case m == 0:
			<-gate
		case m < 0:
			return errBoom
		default:
			handled.Add(1)
		}
		return nil
	})
}

// shutDown has the system drain, opens the gate once it has begun to, and waits for the end.
func shutDown(t *testing.T, s *System, gate chan struct{}) {
	t.Helper()
	ended := make(chan error)
	go func() { ended <- s.Shutdown(worldtest.Within(t)) }()
	await(t, func() bool { return allTold(s) }, "the beginning of the drain")
	close(gate)
	require.NoError(t, <-ended, "hangs: the drain")
}

func tellAll(t *testing.T, r Ref[int], ms ...int) {
	t.Helper()
	for _, m := range ms {
		require.NoError(t, r.Tell(m))
	}
}

// TestShutdownHandlesWhatWaitsBehindAFailure: whoever fails while the system drains is judged as ever.
func TestShutdownHandlesWhatWaitsBehindAFailure(t *testing.T) {
	for d, want := range map[Directive]int32{Restart: 98, Resume: 98, Stop: 0} {
		for _, strategy := range []Strategy{OneForOne, OneForAll} {
			t.Run(fmt.Sprint(d, strategy), func(t *testing.T) {
				s := newSystem(t, 2, Config{Supervision: Supervision{Strategy: strategy, Decide: func(string, error) Directive { return d }}})
				var handled, others atomic.Int32
				gate := make(chan struct{})
				r, other := spawn(t, s, gated(gate, &handled)), spawn(t, s, gated(gate, &others))
				tellAll(t, r, 0, -1)
				tellAll(t, other, 0)
				for i := range 98 {
					tellAll(t, r, i+1)
					tellAll(t, other, i+1)
				}
				shutDown(t, s, gate)
				require.Equal(t, want, handled.Load())
				require.EqualValues(t, 98, others.Load())
				require.EqualValues(t, 98-want, s.Stats().DeadLetters)
			})
		}
	}
}

// The limit of restarts holds during a drain: what is beyond it is escalated, and ends at the top.
func TestRestartLimitWhileDraining(t *testing.T) {
	var gaveUp events
	s := newSystem(t, 2, Config{GaveUp: func(path string, err error) { gaveUp.add(path) }, Supervision: Supervision{MaxRestarts: 3}})
	var handled atomic.Int32
	gate := make(chan struct{})
	p := gated(gate, &handled)
	p.Name = "a"
	r := spawn(t, s, p)
	tellAll(t, r, 0)
	for i := range 10 {
		tellAll(t, r, -1, i+1)
	}
	shutDown(t, s, gate)
	require.EqualValues(t, 3, handled.Load())
	require.EqualValues(t, 3, s.Stats().Restarts)
	require.Equal(t, []string{"/a"}, gaveUp.all)
	require.EqualValues(t, 13, s.Stats().DeadLetters)
}

// A drain ends even if restarts are not limited and New never succeeds again: when nothing waits the actor ends at once, and
// else after some tries.
func TestDrainEndsThoughNewFails(t *testing.T) {
	for _, waiting := range []int{0, 1} {
		var gaveUp events
		s := newSystem(t, 2, Config{GaveUp: func(_ string, err error) { gaveUp.add(err.Error()) }, Supervision: Supervision{MaxRestarts: -1}})
		lives := 0
		gate := make(chan struct{})
		r := spawn(t, s, Props[int]{New: func(*Context[int]) (Behavior[int], error) {
			if lives++; lives > 1 {
				return nil, errBoom
			}
			return func(*Context[int], int) error { <-gate; return errors.New("first") }, nil
		}})
		for i := range waiting + 1 {
			tellAll(t, r, i)
		}
		shutDown(t, s, gate)
		require.EqualValues(t, waiting, s.Stats().DeadLetters)
		if waiting == 0 {
			require.Empty(t, gaveUp.all)
			require.Equal(t, 1, lives, "nothing is left for a second life")
			continue
		}
		require.Equal(t, 1+triesInDrain, lives)
		require.Len(t, gaveUp.all, 1)
		require.Contains(t, gaveUp.all[0], "New has failed 10 times: boom")
	}
}

// A restart during a drain makes the actor's children anew, and they handle what they are told.
func TestRestartWhileDrainingHasChildren(t *testing.T) {
	s := newSystem(t, 2, Config{})
	var handled atomic.Int32
	gate := make(chan struct{})
	r := spawn(t, s, Props[int]{New: func(c *Context[int]) (Behavior[int], error) {
		child, err := Spawn(c, gated(nil, &handled))
		return func(_ *Context[int], m int) error {
			switch {
			case m == 0:
				<-gate
			case m < 0:
				return errBoom
			default:
				return child.Tell(m)
			}
			return nil
		}, err
	}})
	tellAll(t, r, 0, -1, 1, 2, 3)
	shutDown(t, s, gate)
	require.EqualValues(t, 3, handled.Load())
	require.Zero(t, s.Stats().DeadLetters)
}

// What fails below an actor that only waits for its children is judged by that actor, too, and what it escalates by the one
// above. A restart of the actor, which has nothing left to handle, is its end.
func TestEscalationWhileDraining(t *testing.T) {
	for top, want := range map[Directive]int32{Restart: 0, Stop: 0, Resume: 1} {
		s := newSystem(t, 2, Config{Supervision: Supervision{MaxRestarts: -1, Decide: func(string, error) Directive { return top }}})
		var handled, lives atomic.Int32
		gate := make(chan struct{})
		children := make(chan Ref[int], 10)
		parent := spawn(t, s, Props[int]{
			Supervision: Supervision{Decide: func(string, error) Directive { return Escalate }},
			New: func(c *Context[int]) (Behavior[int], error) {
				lives.Add(1)
				child, err := Spawn(c, gated(gate, &handled))
				children <- child
				return func(*Context[int], int) error { return nil }, err
			},
		})
		child := <-children
		tellAll(t, child, 0, -1, 1)
		parent.Drain()
		await(t, func() bool { return told(child.address()) }, "the parent to wait for its child")
		close(gate)
		ended(t, parent)
		require.Equal(t, want, handled.Load())
		require.EqualValues(t, 1, lives.Load())
	}
}

// allTold reports whether all actors at the top have been told to drain.
func allTold(s *System) bool {
	for _, c := range s.root.family() {
		if !told(c) {
			return false
		}
	}
	return true
}

// told reports whether c has been told to drain, though its handler may not have returned since.
func told(c *cell) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed || len(c.notes) > 0
}
