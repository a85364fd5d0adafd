package csp

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/worldtest"
)

// party is a send or a receive that the model knows of.
type party struct {
	v      int
	cancel context.CancelFunc
	done   chan struct{}
	got    int
	err    error
}

// model is what a Chan should do: who finishes, with which value, is determined by the order of the operations.
type model struct {
	c         *Chan[int]
	size      int
	buf       []int
	senders   []*party
	receivers []*party
	closed    bool
	spawn     func(func())
	next      int
	all       []*party
}

func (m *model) start(f func(ctx context.Context, p *party)) *party {
	ctx, cancel := context.WithCancel(context.Background())
	p := &party{cancel: cancel, done: make(chan struct{})}
	m.all = append(m.all, p)
	m.spawn(func() { defer close(p.done); f(ctx, p) })
	return p
}

// finished checks that p ends with v and err.
func (m *model) finished(t *rapid.T, p *party, v int, err error) {
	select {
	case <-p.done:
	case <-time.After(worldtest.Hang):
		t.Fatal("a party that should have finished waits")
	}
	p.cancel()
	if p.got != v || p.err != err {
		t.Fatalf("got %d, %v; want %d, %v", p.got, p.err, v, err)
	}
}

// settle waits until as many parties wait as the model says. That none of them has finished follows from the counts.
func (m *model) settle(t *rapid.T) {
	for end := time.Now().Add(worldtest.Hang); m.c.waitingSenders() != len(m.senders) || m.c.waitingReceivers() != len(m.receivers); {
		if time.Now().After(end) {
			t.Fatalf("%d senders and %d receivers wait, not %d and %d", m.c.waitingSenders(), m.c.waitingReceivers(),
				len(m.senders), len(m.receivers))
		}
		time.Sleep(time.Microsecond)
	}
	if m.c.Len() != len(m.buf) {
		t.Fatalf("%d values in the buffer, not %d", m.c.Len(), len(m.buf))
	}
}

func pick(t *rapid.T, from *[]*party) *party {
	if len(*from) == 0 {
		t.Skip("nobody waits")
	}
	i := rapid.IntRange(0, len(*from)-1).Draw(t, "i")
	p := (*from)[i]
	*from = slices.Delete(*from, i, i+1)
	return p
}

func pop1[T any](s *[]T) T {
	v := (*s)[0]
	*s = (*s)[1:]
	return v
}

// accept is the model of a send that does not wait. It reports false if it would.
func (m *model) accept(t *rapid.T, v int) bool {
	switch {
	case len(m.receivers) > 0:
		m.finished(t, pop1(&m.receivers), v, nil)
	case len(m.buf) < m.size:
		m.buf = append(m.buf, v)
	default:
		return false
	}
	return true
}

// deliver is the model of a receive that does not wait.
func (m *model) deliver(t *rapid.T) (v int, ok bool) {
	if len(m.buf) > 0 {
		v = pop1(&m.buf)
		if len(m.senders) > 0 {
			p := pop1(&m.senders)
			m.buf = append(m.buf, p.v)
			m.finished(t, p, 0, nil)
		}
		return v, true
	}
	if len(m.senders) > 0 {
		p := pop1(&m.senders)
		m.finished(t, p, 0, nil)
		return p.v, true
	}
	return 0, false
}

func (m *model) trySend(sel bool) error {
	if !sel {
		return m.c.TrySend(m.next)
	}
	_, err := TrySelect(Send(m.c, &m.next))
	return err
}

func (m *model) tryRecv(sel bool) (v int, err error) {
	if !sel {
		return m.c.TryRecv()
	}
	_, err = TrySelect(Recv(m.c, &v))
	return v, err
}

func (m *model) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"": m.settle,
		"send": func(t *rapid.T) {
			m.next++
			v := m.next
			way := rapid.IntRange(0, 1).Draw(t, "way")
			p := m.start(func(ctx context.Context, p *party) {
				if way == 0 {
					p.err = m.c.SendContext(ctx, v)
				} else {
					_, p.err = Select(ctx, Send(m.c, &v), Recv[int](nil, new(int)), After(time.Hour))
				}
			})
			p.v = v
			if m.closed {
				m.finished(t, p, 0, ErrClosed)
			} else if m.accept(t, v) {
				m.finished(t, p, 0, nil)
			} else {
				m.senders = append(m.senders, p)
			}
		},
		"recv": func(t *rapid.T) {
			p := m.start(func(ctx context.Context, p *party) { p.got, p.err = m.c.RecvContext(ctx) })
			// A rendezvous needs the receive to be under way, which start has begun.
			if v, ok := m.deliver(t); ok {
				m.finished(t, p, v, nil)
			} else if m.closed {
				m.finished(t, p, 0, ErrClosed)
			} else {
				m.receivers = append(m.receivers, p)
			}
		},
		"select": func(t *rapid.T) { // a receive by way of Select
			p := m.start(func(ctx context.Context, p *party) {
				v := new(int)
				_, p.err = Select(ctx, Recv(m.c, v), After(time.Hour))
				p.got = *v
			})
			if v, ok := m.deliver(t); ok {
				m.finished(t, p, v, nil)
			} else if m.closed {
				m.finished(t, p, 0, ErrClosed)
			} else {
				m.receivers = append(m.receivers, p)
			}
		},
		"trySend": func(t *rapid.T) {
			m.next++
			err := m.trySend(rapid.Bool().Draw(t, "select"))
			if m.closed {
				require.Equal(t, ErrClosed, err)
			} else if m.accept(t, m.next) {
				require.NoError(t, err)
			} else {
				require.Equal(t, ErrWouldBlock, err)
			}
		},
		"tryRecv": func(t *rapid.T) {
			got, err := m.tryRecv(rapid.Bool().Draw(t, "select"))
			if v, ok := m.deliver(t); ok {
				require.NoError(t, err)
				require.Equal(t, v, got)
			} else if m.closed {
				require.Equal(t, ErrClosed, err)
			} else {
				require.Equal(t, ErrWouldBlock, err)
			}
		},
		"cancelSend": func(t *rapid.T) {
			p := pick(t, &m.senders)
			p.cancel()
			m.finished(t, p, 0, context.Canceled)
		},
		"cancelRecv": func(t *rapid.T) {
			p := pick(t, &m.receivers)
			p.cancel()
			m.finished(t, p, 0, context.Canceled)
		},
		"close": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "really") > 0 {
				t.Skip("keep it open mostly")
			}
			require.Equal(t, !m.closed, m.c.shut())
			m.closed = true
			for _, p := range append(m.senders, m.receivers...) {
				m.finished(t, p, 0, ErrClosed)
			}
			m.senders, m.receivers = nil, nil
		},
	}
}

// Any sequence of operations does what the model says, step by step.
func TestChanModel(t *testing.T) {
	e, err := executor.New(executor.Config{Workers: 2})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Shutdown(context.Background())) }()
	for name, spawn := range map[string]func(func()){
		"goroutines": func(f func()) { go f() },
		"coroutines": func(f func()) {
			if e.Go(f) != nil {
				panic("Go")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				size := rapid.IntRange(0, 3).Draw(t, "size")
				m := &model{c: New[int](size), size: size, spawn: spawn}
				defer func() { // also of an attempt that rapid breaks off
					for _, p := range m.all {
						p.cancel()
					}
				}()
				t.Repeat(m.actions())
				for _, p := range append(m.senders, m.receivers...) {
					p.cancel()
					m.finished(t, p, 0, context.Canceled)
				}
			})
		})
	}
}

// A Broadcast is for each receiver the suffix of a list, cut to the capacity.
func TestBroadcastModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 4).Draw(t, "size")
		lag := Lag(rapid.IntRange(0, int(LagFail)).Draw(t, "lag"))
		b := NewBroadcast[int](BroadcastConfig{Capacity: size, Lag: lag})
		type cursor struct {
			r      *Receiver[int]
			at     int
			missed int
		}
		var sent int
		var rs []*cursor
		one := func(t *rapid.T) (int, *cursor) {
			if len(rs) == 0 {
				t.Skip("no receiver")
			}
			i := rapid.IntRange(0, len(rs)-1).Draw(t, "receiver")
			return i, rs[i]
		}
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": func(t *rapid.T) { rs = append(rs, &cursor{r: b.Subscribe(), at: sent}) },
			"unsubscribe": func(t *rapid.T) {
				i, c := one(t)
				c.r.Close()
				_, err := c.r.TryRecv()
				require.Equal(t, ErrClosed, err)
				rs = slices.Delete(rs, i, i+1)
			},
			"send": func(t *rapid.T) {
				full := slices.ContainsFunc(rs, func(c *cursor) bool { return sent-c.at == size })
				err := b.TrySend(sent)
				if lag == LagBlock && full {
					require.Equal(t, ErrWouldBlock, err)
					return
				}
				require.NoError(t, err)
				sent++
			},
			"recv": func(t *rapid.T) {
				_, c := one(t)
				v, err := c.r.TryRecv()
				if lost := sent - c.at - size; lost > 0 {
					c.at += lost
					c.missed += lost
					if lag == LagFail {
						require.Equal(t, &LagError{Missed: uint64(lost)}, err)
						return
					}
				}
				if c.at == sent {
					require.Equal(t, ErrWouldBlock, err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, c.at, v)
				c.at++
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(rs), b.Receivers())
				for _, c := range rs {
					require.EqualValues(t, c.missed, c.r.Missed())
					require.Equal(t, min(size, sent-c.at), c.r.Len(), fmt.Sprint(sent, c.at))
				}
			},
		})
	})
}
