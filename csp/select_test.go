package csp

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/worldtest"
)

func TestSelectReady(t *testing.T) {
	a, b := New[int](1), New[string](1)
	ctx := context.Background()
	var x int
	var y string
	_, err := TrySelect(Recv(a, &x), Recv(b, &y))
	require.ErrorIs(t, err, ErrWouldBlock)
	b.Send("b")
	i, err := Select(ctx, Recv(a, &x), Recv(b, &y))
	require.NoError(t, err)
	require.Equal(t, 1, i)
	require.Equal(t, "b", y)
	x = 7
	i, err = TrySelect(Send(a, &x), Recv(b, &y))
	require.NoError(t, err)
	require.Equal(t, 0, i)
	require.Equal(t, 1, a.Len())

	i, err = Select(ctx, Send(a, &x), After(0))
	require.NoError(t, err)
	require.Equal(t, 1, i, "the default")
	i, err = TrySelect(After(time.Hour), After(-1))
	require.NoError(t, err)
	require.Equal(t, 1, i)

	b.Close()
	i, err = SelectPriority(ctx, Recv(b, &y), Recv(a, &x))
	require.ErrorIs(t, err, ErrClosed)
	require.Equal(t, 0, i)
	i, err = SelectPriority(ctx, Recv[int](nil, &x), Send[int](nil, &x), Recv(a, &x))
	require.NoError(t, err)
	require.Equal(t, 2, i)

	require.Panics(t, func() { Recv(a, nil) })
	require.Panics(t, func() { Send(a, nil) })
}

func TestSelectContexts(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		w.Spawn(func() {
			c := New[int](0)
			x := new(int)
			gone, cancel := context.WithCancelCause(context.Background())
			boom := errors.New("boom")
			cancel(boom)
			if i, err := Select(gone, Recv(c, x)); i != -1 || err != boom {
				w.Errorf("an ended context: %d, %v", i, err)
			}
			if i, err := Select(context.Background(), Recv(c, x), Done(gone)); i != 1 || err != nil {
				w.Errorf("a Done that has happened: %d, %v", i, err)
			}
			late, cancel := context.WithCancelCause(context.Background())
			time.AfterFunc(time.Millisecond, func() { cancel(boom) })
			if i, err := Select(late, Recv(c, x)); i != -1 || err != boom {
				w.Errorf("a context that ends: %d, %v", i, err)
			}
			late, cancel = context.WithCancelCause(context.Background())
			time.AfterFunc(time.Millisecond, func() { cancel(boom) })
			if i, err := Select(context.Background(), Recv(c, x), Done(late), Done(context.Background())); i != 1 || err != nil {
				w.Errorf("a Done that happens: %d, %v", i, err)
			}
			if i, err := Select(context.Background(), Recv(c, x), After(time.Microsecond), After(time.Hour)); i != 1 || err != nil {
				w.Errorf("After: %d, %v", i, err)
			}
			a := executor.After(time.Microsecond)
			if i, err := Select(context.Background(), Recv(c, x), On(a)); i != 1 || err != nil {
				w.Errorf("an Alarm: %d, %v", i, err)
			}
			if i, err := Select(late); i != -1 || err != boom {
				w.Errorf("no cases: %d, %v", i, err)
			}
			if n := c.waitingReceivers(); n != 0 {
				w.Errorf("%d nodes left behind", n)
			}
		})
	})
}

// Selects on both sides of many channels: every value arrives once, no select commits two cases, none hangs.
func TestSelectStress(t *testing.T) {
	for _, size := range []int{0, 1} {
		worldtest.Each(t, func(w *worldtest.World) {
			const channels, parties = 4, 4
			n := worldtest.Scale(125_000)
			cs := make([]*Chan[int], channels)
			for i := range cs {
				cs[i] = New[int](size)
			}
			stop := New[int](0)
			var sum, want, count, left atomic.Int64
			left.Store(parties)
			for p := range parties {
				w.Spawn(func() {
					v := new(int)
					for i := range n {
						*v = p*n + i
						want.Add(int64(*v))
						// Each party names the channels in another order: locks must not be taken in that.
						_, err := Select(context.Background(), Send(cs[p], v), Send(cs[(p+1)%channels], v), Send(cs[(p+3)%channels], v))
						if err != nil {
							w.Error(err)
						}
					}
					if left.Add(-1) == 0 {
						stop.Close()
					}
				})
				w.Spawn(func() {
					v, none := new(int), new(int)
					take := func() bool {
						i, err := SelectPriority(context.Background(), Recv(cs[(p+2)%channels], v), Recv(cs[p], v),
							Recv(cs[(p+3)%channels], v), Recv(cs[(p+1)%channels], v), Recv(stop, none))
						if i == channels {
							if err != ErrClosed {
								w.Error(err)
							}
							return false
						}
						sum.Add(int64(*v))
						count.Add(1)
						return true
					}
					for take() {
					}
				})
			}
			w.Wait()
			require.EqualValues(w, parties*n, count.Load())
			require.Equal(w, want.Load(), sum.Load())
		})
	}
}

// A Select that sends and receives on the same channels as its peer meets it in one way or the other, and never itself.
func TestSelectBothWays(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		n := worldtest.Scale(100_000)
		c := New[int](0)
		var sent, received atomic.Int64
		var done Chan[int]
		var left atomic.Int32
		left.Store(2)
		for range 2 {
			w.Spawn(func() {
				in, out, none := new(int), new(int), new(int)
				for i := 0; ; i++ {
					k, err := Select(context.Background(), Send(c, out), Recv(c, in), Recv(&done, none))
					if k == 2 {
						return
					}
					if err != nil {
						w.Error(err)
					}
					if k == 0 {
						sent.Add(1)
					} else {
						received.Add(1)
					}
					if i == n && left.Add(-1) >= 0 {
						if done.shut() {
							return
						}
					}
				}
			})
		}
		w.Wait()
		require.Equal(w, sent.Load(), received.Load())
	})
}

// Among cases that can all happen, Select takes each about equally often (a 5-sigma bound), SelectPriority the first.
func TestSelectFairness(t *testing.T) {
	const n, k = 20_000, 4
	var hits [2][k]int
	var cs [k]*Chan[int]
	v := new(int)
	var cases []Case
	for i := range cs {
		cs[i] = New[int](1)
		cs[i].Send(i)
		cases = append(cases, Recv(cs[i], v))
	}
	for range n {
		for way, f := range []func(context.Context, ...Case) (int, error){Select, SelectPriority} {
			i, err := f(context.Background(), cases...)
			require.NoError(t, err)
			require.Equal(t, i, *v)
			hits[way][i]++
			cs[i].Send(i)
		}
	}
	require.Equal(t, [k]int{n}, hits[1])
	for _, h := range hits[0] {
		require.InDelta(t, n/k, h, 5*62) // sigma is sqrt(n * 1/4 * 3/4), about 61
	}
	// With more cases than are shuffled, each still has its turn.
	var many []Case
	seen := map[int]bool{}
	for range 3 * maxShuffled {
		many = append(many, On(happened{}))
	}
	for range 5000 {
		i, err := Select(context.Background(), many...)
		require.NoError(t, err)
		seen[i] = true
	}
	require.Len(t, seen, len(many))
}

// happened is a Source that has happened.
type happened struct{}

func (happened) Ready() bool                           { return true }
func (happened) Subscribe(*executor.Choice, int)       {}
func (happened) Unsubscribe(c *executor.Choice, _ int) {}

func TestShuffle(t *testing.T) {
	seen := map[[3]uint8]int{}
	for range 6000 {
		var s sequence
		s.shuffle(3)
		o := s.order[:3]
		seen[[3]uint8(o)]++
		slices.Sort(o)
		require.Equal(t, []uint8{0, 1, 2}, o)
	}
	require.Len(t, seen, 6)
	for _, n := range seen {
		require.InDelta(t, 1000, n, 5*29)
	}
	for n := 2; n <= maxShuffled; n++ {
		first := make([]int, n)
		for range 1000 * n {
			var s sequence
			s.shuffle(n)
			first[s.at(0, n)]++
			o := slices.Clone(s.order[:n])
			slices.Sort(o)
			for i := range o {
				require.EqualValues(t, i, o[i])
			}
		}
		for _, k := range first {
			require.InDelta(t, 1000, k, 5*32)
		}
	}
}

// A Select whose wait ends for nothing, because another receiver of a Broadcast was closed, goes on with the time that
// After has left.
func TestSelectAfterIsNotBegunAnew(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		b := NewBroadcast[int](BroadcastConfig{})
		r := b.Subscribe()
		var over atomic.Bool
		w.Spawn(func() {
			defer over.Store(true)
			var x int
			i, err := Select(context.Background(), r.Case(&x), After(50*time.Millisecond))
			if i != 1 || err != nil {
				t.Errorf("case %d, %v", i, err)
			}
			r.Close()
		})
		w.Spawn(func() {
			for !over.Load() {
				b.Subscribe().Close()
				executor.Sleep(time.Millisecond)
			}
		})
	})
}
