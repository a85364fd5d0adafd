package csp

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/worldtest"
)

func (c *Chan[T]) waitingSenders() (n int)   { return c.waiting(true) }
func (c *Chan[T]) waitingReceivers() (n int) { return c.waiting(false) }

func (c *Chan[T]) waiting(send bool) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := c.side(send).Front(); p != nil; p = p.Next() {
		n++
	}
	return n
}

// Values come in order, once, and after Close the rest and then the end.
func TestChanInOrder(t *testing.T) {
	for _, size := range []int{0, 1, 3, 64} {
		worldtest.Each(t, func(w *worldtest.World) {
			n := worldtest.Scale(20_000)
			c := New[int](size)
			w.Spawn(func() {
				for i := range n {
					c.Send(i)
				}
				c.Close()
			})
			w.Spawn(func() {
				want := 0
				for v := range c.Range() {
					if v != want {
						w.Errorf("got %d, want %d", v, want)
						return
					}
					want++
				}
				if want != n {
					w.Errorf("got %d values", want)
				}
			})
		})
	}
}

// Many senders and receivers: each value arrives once, and those of one sender in order. A million operations each.
func TestChanStress(t *testing.T) {
	for _, size := range []int{0, 1, 100} {
		worldtest.Each(t, func(w *worldtest.World) {
			const senders, receivers = 8, 4
			n := worldtest.Scale(500_000) / senders
			c := New[[2]int](size)
			var left atomic.Int32
			left.Store(senders)
			got := make([][][]int, receivers)
			for s := range senders {
				w.Spawn(func() {
					for i := range n {
						if i%7 == 0 && c.TrySend([2]int{s, i}) == nil {
							continue
						}
						c.Send([2]int{s, i})
					}
					if left.Add(-1) == 0 {
						c.Close()
					}
				})
			}
			for r := range receivers {
				got[r] = make([][]int, senders)
				w.Spawn(func() {
					for v := range c.Range() {
						got[r][v[0]] = append(got[r][v[0]], v[1])
					}
				})
			}
			w.Wait()
			for s := range senders {
				seen := make([]bool, n)
				for r := range receivers {
					last := -1
					for _, i := range got[r][s] {
						if seen[i] || i <= last {
							w.Fatalf("value %d of sender %d came twice or out of order", i, s)
						}
						seen[i], last = true, i
					}
				}
				if i := slices.Index(seen, false); i >= 0 {
					w.Fatalf("value %d of sender %d is lost", i, s)
				}
			}
		})
	}
}

func TestChanClose(t *testing.T) {
	var zero Chan[string]
	require.Equal(t, 0, zero.Cap())
	require.ErrorIs(t, zero.TrySend("x"), ErrWouldBlock)
	_, err := zero.TryRecv()
	require.ErrorIs(t, err, ErrWouldBlock)

	c := New[string](2)
	c.Send("a")
	require.NoError(t, c.TrySend("b"))
	require.ErrorIs(t, c.TrySend("c"), ErrWouldBlock)
	require.Equal(t, 2, c.Len())
	c.Close()
	require.Panics(t, c.Close)
	require.Panics(t, func() { c.Send("c") })
	require.ErrorIs(t, c.TrySend("c"), ErrClosed)
	require.ErrorIs(t, c.SendContext(context.Background(), "c"), ErrClosed)
	v, ok := c.Recv()
	require.True(t, ok)
	require.Equal(t, "a", v)
	v, err = c.TryRecv()
	require.NoError(t, err)
	require.Equal(t, "b", v)
	_, ok = c.Recv()
	require.False(t, ok)
	_, err = c.TryRecv()
	require.ErrorIs(t, err, ErrClosed)
	for _, size := range []int{-1, MaxCapacity + 1} {
		require.Panics(t, func() { New[int](size) })
	}
}

// Close ends everybody who waits: receivers get the end, senders panic or get ErrClosed, and their values are gone.
func TestChanCloseWakesAll(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		c, d := New[int](0), New[int](0)
		var ends, panics, errs atomic.Int32
		for range 3 {
			w.Spawn(func() {
				if _, ok := c.Recv(); !ok {
					ends.Add(1)
				}
			})
			w.Spawn(func() {
				defer func() {
					if recover() != nil {
						panics.Add(1)
					}
				}()
				d.Send(1)
			})
			w.Spawn(func() {
				if errors.Is(d.SendContext(context.Background(), 1), ErrClosed) {
					errs.Add(1)
				}
			})
		}
		worldtest.Until(w, func() bool { return c.waitingReceivers() == 3 && d.waitingSenders() == 6 }, "all to wait")
		c.Close()
		d.Close()
		w.Wait()
		require.EqualValues(w, 3, ends.Load())
		require.EqualValues(w, 3, panics.Load())
		require.EqualValues(w, 3, errs.Load())
	})
}

// A value is either received or its sender is told that it was not sent, whenever the contexts end.
func TestChanCancelLosesNothing(t *testing.T) {
	for _, size := range []int{0, 2} {
		worldtest.Each(t, func(w *worldtest.World) {
			const parties = 4
			n := worldtest.Scale(4_000) / parties
			c := New[int](size)
			var sent, received sync.Map
			var nSent, nReceived atomic.Int64
			var left atomic.Int32
			left.Store(parties)
			for p := range parties {
				w.Spawn(func() {
					for i := range n {
						ctx, cancel := context.WithCancel(context.Background())
						if i%2 == 0 {
							go cancel()
						}
						if err := c.SendContext(ctx, p*n+i); err == nil {
							sent.Store(p*n+i, true)
							nSent.Add(1)
						} else if !errors.Is(err, context.Canceled) {
							w.Error(err)
						}
						cancel()
					}
					if left.Add(-1) == 0 {
						c.Close()
					}
				})
				w.Spawn(func() {
					for i := 0; ; i++ {
						ctx, cancel := context.WithCancel(context.Background())
						if i%2 == 0 {
							go cancel()
						}
						v, err := c.RecvContext(ctx)
						cancel()
						if errors.Is(err, ErrClosed) {
							return
						}
						if err == nil {
							received.Store(v, true)
							nReceived.Add(1)
						}
					}
				})
			}
			w.Wait()
			require.Equal(w, nSent.Load(), nReceived.Load())
			sent.Range(func(k, _ any) bool {
				_, ok := received.Load(k)
				require.True(w, ok, "%v is lost", k)
				return true
			})
		})
	}
}

// Waiting parties are served in the order of coming, and nobody overtakes them.
func TestChanFIFO(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		c := New[int](1)
		c.Send(-1)
		for i := range 5 {
			w.Spawn(func() { c.Send(i) })
			worldtest.Until(w, func() bool { return c.waitingSenders() == i+1 }, "the sender to wait")
		}
		require.ErrorIs(w, c.TrySend(99), ErrWouldBlock)
		for want := -1; want < 5; want++ {
			v, ok := c.Recv()
			require.True(w, ok)
			require.Equal(w, want, v)
		}
	})
}

func TestChanAllocs(t *testing.T) {
	if worldtest.Race {
		t.Skip("the race detector allocates")
	}
	worldtest.Each(t, func(w *worldtest.World) {
		if w.Workers != 1 {
			return
		}
		x, y := New[int](0), New[int](0)
		w.Spawn(func() {
			for v := range x.Range() {
				y.Send(v)
			}
		})
		w.Spawn(func() {
			defer x.Close()
			if n := testing.AllocsPerRun(1000, func() { x.Send(1); y.Recv() }); n != 0 {
				w.Errorf("%v allocations per round", n)
			}
			c := New[int](4)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			v := new(int)
			if n := testing.AllocsPerRun(1000, func() {
				_ = c.SendContext(ctx, 1)
				_, _ = Select(ctx, Recv(c, v), Recv(x, v))
			}); n != 0 {
				w.Errorf("%v allocations without waiting", n)
			}
		})
	})
}

// Who closes a channel that its receiving side has closed before cannot have known.
func TestCloseAfterShut(t *testing.T) {
	c := New[int](1)
	c.shut()
	require.ErrorIs(t, c.TrySend(1), ErrClosed)
	require.NotPanics(t, c.Close)
	require.Panics(t, c.Close)
}
