//go:build linux

package actor

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestSiblings compares the list with a slice, whatever is removed; what was removed knows none of the others any more.
func TestSiblings(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s siblings
		want := []*cell{}
		for range rapid.IntRange(0, 30).Draw(rt, "steps") {
			if len(want) == 0 || rapid.Bool().Draw(rt, "add") {
				c := new(cell)
				s.add(c)
				want = append(want, c)
				continue
			}
			i := rapid.IntRange(0, len(want)-1).Draw(rt, "which")
			c := want[i]
			s.remove(c)
			want = slices.Delete(want, i, i+1)
			require.Nil(rt, c.older)
			require.Nil(rt, c.younger)
		}
		require.Equal(rt, len(want), s.n)
		for i, c := range s.list() {
			require.Same(rt, want[i], c)
		}
		require.Len(rt, s.list(), len(want))
	})
}

// The children that an actor stops are those that have not ended, in the order of their start.
func TestFamilyInOrderOfStart(t *testing.T) {
	s := newSystem(t, 1, Config{})
	children := make([]Ref[int], 5)
	var e events
	spawned := make(chan struct{})
	parent := spawn(t, s, Props[int]{New: func(c *Context[int]) (Behavior[int], error) {
		for i := range children {
			p := idler()
			p.Stopped = func(*Context[int]) { e.add(fmt.Sprint(i)) }
			var err error
			if children[i], err = Spawn(c, p); err != nil {
				return nil, err
			}
		}
		close(spawned)
		return func(*Context[int], int) error { return nil }, nil
	}})
	<-spawned
	children[2].Stop()
	ended(t, children[2])
	a := parent.address()
	await(t, func() bool { return len(a.family()) == 4 }, "the parent to be told")
	require.Equal(t, []*cell{children[0].address(), children[1].address(), children[3].address(), children[4].address()}, a.family())
	parent.Stop()
	ended(t, parent)
	require.Len(t, e.all, 5)
}
