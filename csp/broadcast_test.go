package csp

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/worldtest"
)

// Every receiver gets every value in order when senders wait for the slowest.
func TestBroadcastBlock(t *testing.T) {
	for _, size := range []int{1, 7} {
		worldtest.Each(t, func(w *worldtest.World) {
			const senders, receivers = 3, 4
			n := worldtest.Scale(90_000) / senders
			b := NewBroadcast[[2]int](BroadcastConfig{Capacity: size})
			var left atomic.Int32
			left.Store(senders)
			for range receivers {
				r := b.Subscribe()
				w.Spawn(func() {
					defer r.Close()
					var last [senders]int
					count := 0
					for v := range r.Range() {
						if v[1] != last[v[0]]+1 {
							w.Errorf("value %d of sender %d after %d", v[1], v[0], last[v[0]])
							return
						}
						last[v[0]] = v[1]
						count++
					}
					if count != senders*n || r.Missed() != 0 {
						w.Errorf("%d values, %d missed", count, r.Missed())
					}
				})
			}
			for s := range senders {
				w.Spawn(func() {
					for i := range n {
						b.Send([2]int{s, i + 1})
					}
					if left.Add(-1) == 0 {
						b.Close()
					}
				})
			}
			w.Wait()
			require.Zero(w, b.Receivers())
		})
	}
}

// A receiver that does not receive holds senders up, with no more than the capacity, until it does or is closed.
func TestBroadcastBound(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		b := NewBroadcast[int](BroadcastConfig{Capacity: 2})
		slow, fast := b.Subscribe(), b.Subscribe()
		require.NoError(w, b.TrySend(0))
		require.NoError(w, b.TrySend(1))
		for range 2 {
			_, ok := fast.Recv()
			require.True(w, ok)
		}
		require.ErrorIs(w, b.TrySend(2), ErrWouldBlock)
		require.Equal(w, 2, slow.Len())
		ctx, cancel := context.WithCancel(context.Background())
		w.Spawn(func() {
			if err := b.SendContext(ctx, 99); err != context.Canceled {
				w.Error(err)
			}
		})
		worldtest.Until(w, func() bool { return b.sendersWaiting() == 1 }, "the sender to wait")
		cancel()
		w.Wait()
		for i := range 3 {
			w.Spawn(func() { b.Send(2 + i) })
			worldtest.Until(w, func() bool { return b.sendersWaiting() == i+1 }, "the sender to wait")
		}
		v, ok := slow.Recv()
		require.True(w, ok)
		require.Equal(w, 0, v)
		require.Equal(w, 2, b.sendersWaiting(), "one place is free, so one may go on")
		slow.Close()
		slow.Close()
		_, ok = slow.Recv()
		require.False(w, ok)
		for i := range 3 {
			v, ok := fast.Recv()
			require.True(w, ok)
			require.Equal(w, 2+i, v)
		}
		w.Wait()
		fast.Close()
		for range 10 {
			require.NoError(w, b.TrySend(0), "without receivers nobody is waited for")
		}
	})
}

func (b *Broadcast[T]) sendersWaiting() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := b.senders.Front(); p != nil; p = p.Next() {
		n++
	}
	return n
}

func TestBroadcastLag(t *testing.T) {
	ctx := context.Background()
	for _, lag := range []Lag{LagDropOldest, LagFail} {
		b := NewBroadcast[int](BroadcastConfig{Capacity: 4, Lag: lag})
		r := b.Subscribe()
		for i := range 10 {
			b.Send(i)
		}
		v, err := r.RecvContext(ctx)
		if lag == LagFail {
			var e *LagError
			require.ErrorAs(t, err, &e)
			require.EqualValues(t, 6, e.Missed)
			v, err = r.RecvContext(ctx)
		}
		require.NoError(t, err)
		require.Equal(t, 6, v)
		require.EqualValues(t, 6, r.Missed())
		for range 6 {
			b.Send(0)
		}
		b.Close()
		b.Close()
		n := 0
		for range r.Range() { // passes the error over
			n++
		}
		require.Equal(t, 4, n)
		require.EqualValues(t, 11, r.Missed())
		_, err = r.TryRecv()
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorIs(t, b.TrySend(1), ErrClosed)
		require.ErrorIs(t, b.SendContext(ctx, 1), ErrClosed)
		require.Panics(t, func() { b.Send(1) })
	}
	require.Panics(t, func() { NewBroadcast[int](BroadcastConfig{Capacity: -1}) })
	require.Panics(t, func() { NewBroadcast[int](BroadcastConfig{Lag: 9}) })
}

// With dropping, what a receiver gets and what it is told it missed is together what was sent.
func TestBroadcastCounts(t *testing.T) {
	for _, lag := range []Lag{LagDropOldest, LagFail} {
		worldtest.Each(t, func(w *worldtest.World) {
			n := worldtest.Scale(100_000)
			b := NewBroadcast[int](BroadcastConfig{Capacity: 8, Lag: lag})
			for range 3 {
				r := b.Subscribe()
				w.Spawn(func() {
					last, got, missed := -1, 0, 0
					for {
						v, err := r.RecvContext(context.Background())
						var e *LagError
						if errors.As(err, &e) {
							missed += int(e.Missed)
							continue
						}
						if err != nil {
							break
						}
						if v <= last {
							w.Errorf("%d after %d", v, last)
						}
						last = v
						got++
					}
					if lag == LagDropOldest {
						missed = int(r.Missed())
					}
					if got+missed != n || missed != int(r.Missed()) || last != n-1 {
						w.Errorf("%d received, %d missed, %d sent, last %d", got, missed, n, last)
					}
				})
			}
			w.Spawn(func() {
				for i := range n {
					b.Send(i)
				}
				b.Close()
			})
		})
	}
}

func TestWatch(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		n := worldtest.Scale(100_000)
		x := NewWatch(0)
		for range 3 {
			r := x.Subscribe()
			w.Spawn(func() {
				last := -1
				for v := range r.Range() {
					if v <= last {
						w.Errorf("%d after %d", v, last)
					}
					last = v
				}
				if last != n {
					w.Errorf("the last value seen is %d", last)
				}
			})
		}
		w.Spawn(func() {
			for range n {
				if err := x.Update(func(v int) int { return v + 1 }); err != nil {
					w.Error(err)
				}
			}
			x.Close()
		})
		w.Wait()
		require.Equal(w, n, x.Get())
		require.ErrorIs(w, x.Set(1), ErrClosed)
		r := x.Subscribe()
		v, err := r.TryNext()
		require.NoError(w, err)
		require.Equal(w, n, v)
		_, err = r.TryNext()
		require.ErrorIs(w, err, ErrClosed)
		y := NewWatch("a").Subscribe()
		_, err = y.TryNext()
		require.NoError(w, err)
		_, err = y.TryNext()
		require.ErrorIs(w, err, ErrWouldBlock)
	})
}

func TestOneshot(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		for range worldtest.Scale(20_000) {
			var o Oneshot[int]
			var got, ends atomic.Int32
			for range 2 {
				w.Spawn(func() {
					if v, ok := o.Recv(); ok {
						got.Add(int32(v))
					} else {
						ends.Add(1)
					}
				})
			}
			w.Spawn(func() {
				defer o.Close()
				if err := o.Send(5); err != nil {
					w.Error(err)
				}
			})
			w.Wait()
			if got.Load() != 5 || ends.Load() != 1 {
				w.Fatalf("%d received, %d ends", got.Load(), ends.Load())
			}
		}
		var o Oneshot[int]
		_, err := o.TryRecv()
		require.ErrorIs(w, err, ErrWouldBlock)
		w.Spawn(func() {
			if _, ok := o.Recv(); ok {
				w.Error("received from a closed one")
			}
		})
		o.Close()
		w.Wait()
		require.ErrorIs(w, o.Send(1), ErrClosed)
	})
}

// Select takes from everything that brings something, also when it has to wait.
func TestSelectSources(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		b, x, c := NewBroadcast[int](BroadcastConfig{}), NewWatch("-"), New[int](0)
		var o Oneshot[bool]
		r, s := b.Subscribe(), x.Subscribe()
		_, err := s.TryNext()
		require.NoError(w, err)
		n := worldtest.Scale(20_000)
		back := New[int](0)
		w.Spawn(func() {
			defer back.Close()
			i, v, str, flag := new(int), new(int), new(string), new(bool)
			for k := range 3 * n {
				way, err := SelectPriority(context.Background(), Recv(c, i), r.Case(v), s.Case(str), o.Case(flag))
				if err != nil || way != k%3 {
					w.Errorf("case %d, %v instead of %d", way, err, k%3)
					return
				}
				back.Send(way)
			}
			if i, err := SelectPriority(context.Background(), o.Case(flag), Recv(c, i), r.Case(v), s.Case(str)); i != 0 || err != nil || !*flag {
				w.Errorf("the oneshot: %d, %v", i, err)
			}
			if i, err := Select(context.Background(), Recv(c, i), r.Case(v), s.Case(str)); i != 1 || err != ErrClosed {
				w.Errorf("the closed broadcast: %d, %v", i, err)
			}
		})
		w.Spawn(func() {
			for range n {
				c.Send(1)
				back.Recv()
				b.Send(2)
				back.Recv()
				_ = x.Set("x")
				back.Recv()
			}
			_ = o.Send(true)
			b.Close()
		})
	})
}

func TestBroadcastAllocs(t *testing.T) {
	if worldtest.Race {
		t.Skip("the race detector allocates")
	}
	worldtest.Each(t, func(w *worldtest.World) {
		if w.Workers != 1 {
			return
		}
		b := NewBroadcast[int](BroadcastConfig{Capacity: 1})
		r := b.Subscribe()
		w.Spawn(func() {
			for range r.Range() {
			}
		})
		w.Spawn(func() {
			if n := testing.AllocsPerRun(1000, func() { b.Send(1) }); n != 0 {
				w.Errorf("%v allocations", n)
			}
			b.Close()
		})
	})
}

// Nothing waits for a receiver that is closed.
func TestClosedReceiverHasNothing(t *testing.T) {
	b := NewBroadcast[int](BroadcastConfig{})
	r := b.Subscribe()
	b.Send(1)
	require.Equal(t, 1, r.Len())
	r.Close()
	require.Zero(t, r.Len())
	_, ok := r.Recv()
	require.False(t, ok)
}
