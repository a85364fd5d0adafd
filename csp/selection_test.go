package csp

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/worldtest"
)

// meddled is a case to whose enlisting something happens just before.
type meddled struct {
	Case
	before func()
}

// enlisted does what a Select does from the moment on at which it has found nothing.
func enlisted(ms ...meddled) (int, error) {
	s, t := selections.Get().(*selection), new(sequence)
	var cases []Case
	for _, m := range ms {
		cases = append(cases, m.Case)
	}
	s.begin(cases)
	for k, m := range ms {
		if m.before != nil {
			m.before()
		}
		if !s.step(cases, t, k, false) {
			break
		}
	}
	return s.finish(cases, t, s.choice.Wait(), nil)
}

// enlist is a Select of cases that is left waiting, and what ends it.
func enlist(cases ...Case) (end func() (int, error)) {
	s, t := selections.Get().(*selection), new(sequence)
	s.enlist(cases, t, false)
	return func() (int, error) { return s.finish(cases, t, s.choice.Wait(), nil) }
}

// idle tells that nobody waits at any of cs.
func idle(t *testing.T, cs ...*Chan[int]) {
	t.Helper()
	for i, c := range cs {
		require.Zero(t, c.waitingSenders(), i)
		require.Zero(t, c.waitingReceivers(), i)
	}
}

// What changes between the first look of a Select and its wait is noticed, whichever channel it is at.
func TestSelectWhileItEnlists(t *testing.T) {
	before := func(m *meddled, f func()) { m.before = f }
	make3 := func(size int) (cs [3]*Chan[int], in *[3]int, cases []meddled) {
		in = new([3]int)
		for i := range cs {
			cs[i] = New[int](size)
			cases = append(cases, meddled{Case: Recv(cs[i], &in[i])})
		}
		return cs, in, cases
	}
	for at := range 3 { // before which channel is enlisted
		for of := range 3 { // where it happens
			cs, in, cases := make3(1)
			before(&cases[at], func() { cs[of].Send(7) })
			i, err := enlisted(cases...)
			require.NoError(t, err)
			require.Equal(t, of, i, "a value, at %d", at)
			require.Equal(t, 7, in[of])
			require.Zero(t, cs[of].Len())
			idle(t, cs[:]...)

			cs, _, cases = make3(0)
			before(&cases[at], func() { cs[of].Close() })
			i, err = enlisted(cases...)
			require.Equal(t, ErrClosed, err)
			require.Equal(t, of, i, "a close, at %d", at)
			idle(t, cs[:]...)

			// Two things: what was claimed first counts, and the other stays.
			cs, in, cases = make3(1)
			before(&cases[at], func() { cs[of].Send(7); cs[(of+1)%3].Send(8) })
			i, err = enlisted(cases...)
			require.NoError(t, err)
			rest := 0
			for k, c := range cs {
				if k != i {
					require.Zero(t, in[k])
					rest += c.Len()
				}
			}
			require.Equal(t, 1, rest)
			require.Equal(t, map[int]int{of: 7, (of + 1) % 3: 8}[i], in[i])
			idle(t, cs[:]...)
		}
	}
}

// A Select that finds another one undecided, while it is itself, takes that one's case, and both have one.
func TestSelectMeetsSelectWhileItEnlists(t *testing.T) {
	for _, send := range []bool{false, true} {
		a, b := New[int](0), New[int](0)
		mine, theirs := 1, 2
		op, other := Recv(b, &mine), Send(b, &theirs)
		if send {
			op, other = Send(b, &mine), Recv(b, &theirs)
		}
		var end func() (int, error)
		i, err := enlisted(meddled{Case: Recv(a, new(int))}, meddled{op, func() { end = enlist(other) }})
		require.NoError(t, err)
		require.Equal(t, 1, i)
		i, err = end()
		require.NoError(t, err)
		require.Equal(t, 0, i)
		require.Equal(t, mine, theirs)
		idle(t, a, b)
	}
}

// If it was claimed before it finds that one, the other goes on waiting.
func TestSelectMeetsSelectTooLate(t *testing.T) {
	a, b := New[int](0), New[int](0)
	x, y := new(int), 2
	var end func() (int, error)
	i, err := enlisted(meddled{Case: Recv(a, x)}, meddled{Recv(b, new(int)), func() {
		end = enlist(Send(b, &y))
		require.NoError(t, a.TrySend(5))
	}})
	require.NoError(t, err)
	require.Equal(t, 0, i)
	require.Equal(t, 5, *x)
	require.Equal(t, 1, b.waitingSenders())
	got, err := b.TryRecv()
	require.NoError(t, err)
	require.Equal(t, 2, got)
	i, err = end()
	require.NoError(t, err)
	require.Equal(t, 0, i)
	idle(t, a, b)
}

// Both sides of one channel in one Select: it passes over its own nodes, those of Selects that were decided elsewhere, and
// takes who waits behind them.
func TestSelectPassesOverItself(t *testing.T) {
	c, d := New[int](0), New[int](0)
	gone := enlist(Send(c, new(int)), Recv(d, new(int)))
	require.NoError(t, d.TrySend(1)) // it is decided, and its node is still at c

	in, out := new(int), 3
	done := make(chan error)
	i, err := enlisted(meddled{Case: Send(c, &out)}, meddled{Recv(c, in), func() {
		go func() { done <- c.SendContext(context.Background(), 9) }()
		for c.waitingSenders() < 3 {
			runtime.Gosched()
		}
	}})
	require.NoError(t, err)
	require.Equal(t, 1, i)
	require.Equal(t, 9, *in)
	require.NoError(t, <-done)
	i, err = gone()
	require.NoError(t, err)
	require.Equal(t, 1, i)
	idle(t, c, d)
}

// What is known to be in vain costs no lock, and whatever makes it worth while is noticed.
func TestSelectInVain(t *testing.T) {
	v := new(int)
	queued := func(k Case) (undo func()) {
		end := enlist(k)
		return func() { _, _ = end() }
	}
	waiting := func(f func(), n func() int) (undo func()) {
		done := make(chan bool)
		go func() { defer close(done); f() }()
		for n() == 0 {
			runtime.Gosched()
		}
		return func() { <-done }
	}
	for name, x := range map[string]struct {
		size, full int
		send       bool // what the Select tries
		change     func(c *Chan[int]) (undo func())
	}{
		"a value":                {2, 0, false, func(c *Chan[int]) func() { c.Send(1); return nil }},
		"a close":                {2, 0, false, func(c *Chan[int]) func() { c.Close(); return nil }},
		"room":                   {2, 2, true, func(c *Chan[int]) func() { c.Recv(); return nil }},
		"a close, for a sender":  {2, 2, true, func(c *Chan[int]) func() { c.Close(); return nil }},
		"a sender":               {0, 0, false, func(c *Chan[int]) func() { return waiting(func() { c.Send(1) }, c.waitingSenders) }},
		"a receiver":             {0, 0, true, func(c *Chan[int]) func() { return waiting(func() { c.Recv() }, c.waitingReceivers) }},
		"a Select that sends":    {0, 0, false, func(c *Chan[int]) func() { return queued(Send(c, new(int))) }},
		"a Select that receives": {0, 0, true, func(c *Chan[int]) func() { return queued(Recv(c, new(int))) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := New[int](x.size)
			for range x.full {
				c.Send(0)
			}
			k := Recv(c, v)
			if x.send {
				k = Send(c, v)
			}
			_, err := TrySelect(k)
			require.ErrorIs(t, err, ErrWouldBlock)
			c.mu.Lock() // it would wait for ever if it took this
			_, err = TrySelect(k)
			c.mu.Unlock()
			require.ErrorIs(t, err, ErrWouldBlock)
			undo := x.change(c)
			i, err := TrySelect(k)
			require.Equal(t, 0, i)
			if c.closed {
				require.ErrorIs(t, err, ErrClosed)
			} else {
				require.NoError(t, err)
			}
			if undo != nil {
				undo()
			}
			idle(t, c)
		})
	}
}

// A Select that has to wait allocates nothing, nor do parties that wait for each other.
func TestWaitingAllocatesNothing(t *testing.T) {
	if worldtest.Race {
		t.Skip("the race detector empties pools")
	}
	cs := []*Chan[int]{New[int](0), New[int](0), New[int](0), New[int](0)}
	back, ended := New[int](0), make(chan bool)
	go func() {
		defer close(ended)
		for i := 0; cs[i&3].SendContext(context.Background(), i) == nil; i++ {
			back.Recv()
		}
	}()
	v := new(int)
	allocs := testing.AllocsPerRun(2000, func() {
		_, _ = Select(context.Background(), Recv(cs[0], v), Recv(cs[1], v), Recv(cs[2], v), Recv(cs[3], v))
		back.Send(1)
	})
	for _, c := range cs {
		c.Close()
	}
	<-ended
	require.Zero(t, allocs) // rounded down
}
