package locks

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/waitq"
	"github.com/ouro-io/ouro/internal/worldtest"
)

func length[V any](mu *sync.Mutex, q *waitq.List[V]) (n int) {
	mu.Lock()
	defer mu.Unlock()
	for p := q.Front(); p != nil; p = p.Next() {
		n++
	}
	return n
}

// Holders exclude each other also when they suspend while they hold the lock.
func TestMutexStress(t *testing.T) {
	for _, barging := range []bool{false, true} {
		worldtest.Each(t, func(w *worldtest.World) {
			const parties = 8
			n := worldtest.Scale(1_000_000) / parties
			m := Mutex{Barging: barging}
			count := 0 // the race detector looks at this one too
			for range parties {
				w.Spawn(func() {
					for i := range n {
						if i%5 == 0 && m.TryLock() {
							count++
							m.Unlock()
							continue
						}
						m.Lock()
						count++
						if i%64 == 0 {
							executor.Yield()
						}
						m.Unlock()
					}
				})
			}
			w.Wait()
			require.Equal(w, parties*n, count)
			require.Zero(w, m.state.Load())
		})
	}
}

func TestMutexFIFO(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		var m Mutex
		m.Lock()
		var order []int
		for i := range 5 {
			w.Spawn(func() {
				m.Lock()
				order = append(order, i)
				m.Unlock()
			})
			worldtest.Until(w, func() bool { return length(&m.mu, &m.queue) == i+1 }, "the party to wait")
		}
		require.False(w, m.TryLock())
		m.Unlock()
		w.Wait()
		require.Equal(w, []int{0, 1, 2, 3, 4}, order)
		require.Panics(w, m.Unlock)
	})
}

// Parties whose contexts end at any time: the lock is neither lost nor given twice.
func TestMutexCancel(t *testing.T) {
	for _, barging := range []bool{false, true} {
		worldtest.Each(t, func(w *worldtest.World) {
			const parties = 6
			n := worldtest.Scale(12_000) / parties
			m := Mutex{Barging: barging}
			count, want := 0, atomic.Int64{}
			for p := range parties {
				w.Spawn(func() {
					for i := range n {
						ctx, cancel := context.WithCancel(context.Background())
						if (p+i)%2 == 0 {
							go cancel()
						}
						if err := m.LockContext(ctx); err == nil {
							count++
							want.Add(1)
							executor.Yield()
							m.Unlock()
						} else if err != context.Canceled {
							w.Error(err)
						}
						cancel()
					}
				})
			}
			w.Wait()
			require.EqualValues(w, want.Load(), count)
			require.Zero(w, m.state.Load())
			require.Zero(w, length(&m.mu, &m.queue))
		})
	}
}

func TestRWMutexStress(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		const parties = 8
		n := worldtest.Scale(500_000) / parties
		var m RWMutex
		var readers atomic.Int32
		count := 0
		for p := range parties {
			w.Spawn(func() {
				for i := range n {
					if (p+i)%4 == 0 {
						m.Lock()
						if readers.Load() != 0 {
							w.Error("readers beside a writer")
						}
						count++
						m.Unlock()
						continue
					}
					l := m.RLocker()
					l.Lock()
					readers.Add(1)
					_ = count
					if i%64 == 0 {
						executor.Yield()
					}
					readers.Add(-1)
					l.Unlock()
				}
			})
		}
		w.Wait()
		require.Equal(w, parties*n/4, count)
		require.Panics(w, m.Unlock)
		require.Panics(w, m.RUnlock)
	})
}

// A waiting writer keeps later readers out; readers that wait when a writer leaves go before the next writer; and when
// the writer that keeps readers out gives up, they go on.
func TestRWMutexOrder(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		var m RWMutex
		m.RLock()
		require.True(w, m.TryRLock())
		ctx, cancel := context.WithCancel(context.Background())
		w.Spawn(func() {
			if err := m.LockContext(ctx); err != context.Canceled {
				w.Error(err)
			}
		})
		worldtest.Until(w, func() bool { return length(&m.mu, &m.writers) == 1 }, "the writer to wait")
		require.False(w, m.TryRLock())
		var in atomic.Int32
		for i := range 2 {
			w.Spawn(func() { m.RLock(); in.Add(1) })
			worldtest.Until(w, func() bool { return length(&m.mu, &m.arrived) == i+1 }, "the readers to wait")
		}
		cancel()
		w.Wait()
		require.EqualValues(w, 2, in.Load())

		var mu sync.Mutex
		var order []string
		note := func(s string) { mu.Lock(); order = append(order, s); mu.Unlock() }
		for range 4 {
			m.RUnlock()
		}
		m.Lock()
		require.False(w, m.TryLock())
		for i := range 2 {
			w.Spawn(func() { m.Lock(); note("w"); m.Unlock() })
			worldtest.Until(w, func() bool { return length(&m.mu, &m.writers) == i+1 }, "the writers to wait")
			w.Spawn(func() { m.RLock(); note("r"); m.RUnlock() })
			worldtest.Until(w, func() bool { return length(&m.mu, &m.arrived) == i+1 }, "the readers to wait")
		}
		m.Unlock()
		w.Wait()
		require.Equal(w, []string{"r", "r", "w", "w"}, order)
	})
}

func TestRWMutexCancel(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		const parties = 6
		n := worldtest.Scale(12_000) / parties
		var m RWMutex
		count := 0
		for p := range parties {
			w.Spawn(func() {
				for i := range n {
					ctx, cancel := context.WithCancel(context.Background())
					if i%2 == 0 {
						go cancel()
					}
					if (p+i)%3 == 0 {
						if m.LockContext(ctx) == nil {
							count++
							executor.Yield()
							m.Unlock()
						}
					} else if m.RLockContext(ctx) == nil {
						_ = count
						executor.Yield()
						m.RUnlock()
					}
					cancel()
				}
			})
		}
		w.Wait()
		require.True(w, m.TryLock(), "the lock was lost")
	})
}

func TestSemaphoreStress(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		const parties, size = 8, 5
		n := worldtest.Scale(500_000) / parties
		s := NewSemaphore(size)
		var out atomic.Int64
		for p := range parties {
			w.Spawn(func() {
				for i := range n {
					k := int64(1 + (p+i)%size)
					if i%3 != 0 || !s.TryAcquire(k) {
						s.Acquire(k)
					}
					if out.Add(k) > size {
						w.Error("more permits lent than there are")
					}
					if i%64 == 0 {
						executor.Yield()
					}
					out.Add(-k)
					s.Release(k)
				}
			})
		}
		w.Wait()
		require.EqualValues(w, size, s.Free())
	})
}

func TestSemaphoreCancel(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		const parties, size = 6, 3
		n := worldtest.Scale(12_000) / parties
		s := NewSemaphore(size)
		for p := range parties {
			w.Spawn(func() {
				for i := range n {
					ctx, cancel := context.WithCancel(context.Background())
					if i%2 == 0 {
						go cancel()
					}
					if k := int64(1 + (p+i)%size); s.AcquireContext(ctx, k) == nil {
						executor.Yield()
						s.Release(k)
					}
					cancel()
				}
			})
		}
		w.Wait()
		require.EqualValues(w, size, s.Free())
		require.Zero(w, length(&s.mu, &s.queue))
	})
}

// A large request at the front holds small ones up, so that it cannot starve; when it gives up they are served.
func TestSemaphoreFront(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		s := NewSemaphore(3)
		s.Acquire(2)
		ctx, cancel := context.WithCancel(context.Background())
		w.Spawn(func() {
			if err := s.AcquireContext(ctx, 3); err != context.Canceled {
				w.Error(err)
			}
		})
		worldtest.Until(w, func() bool { return length(&s.mu, &s.queue) == 1 }, "the large one to wait")
		require.False(w, s.TryAcquire(1))
		w.Spawn(func() { s.Acquire(1) })
		worldtest.Until(w, func() bool { return length(&s.mu, &s.queue) == 2 }, "the small one to wait")
		cancel()
		w.Wait()
		require.Zero(w, s.Free())
		require.ErrorIs(w, s.AcquireContext(context.Background(), 4), ErrTooMuch)
		require.ErrorIs(w, s.AcquireContext(ctx, 1), context.Canceled)
		require.Panics(w, func() { s.Acquire(4) })
		require.Panics(w, func() { s.Acquire(-1) })
		require.Panics(w, func() { s.TryAcquire(-1) })
		require.Panics(w, func() { s.Release(4) })
		require.Panics(w, func() { s.Release(-1) })
		require.Panics(w, func() { NewSemaphore(-1) })
		require.NotPanics(w, func() { s.Release(3) })
	})
}

// A bounded buffer out of one lock and two conditions.
func TestCondStress(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		const parties, room = 3, 2
		n := worldtest.Scale(100_000) / parties
		var m Mutex
		full, empty := NewCond(&m), NewCond(&m)
		var buf []int
		sum := 0
		for range parties {
			w.Spawn(func() {
				for i := range n {
					m.Lock()
					for len(buf) == room {
						full.Wait()
					}
					buf = append(buf, i)
					empty.Signal()
					m.Unlock()
				}
			})
			w.Spawn(func() {
				for range n {
					m.Lock()
					for len(buf) == 0 {
						empty.Wait()
					}
					sum += buf[0]
					buf = buf[1:]
					full.Signal()
					m.Unlock()
				}
			})
		}
		w.Wait()
		require.Equal(w, parties*n*(n-1)/2, sum)
	})
}

// Each Signal wakes exactly one party that does not give up: signals are not lost to those that do.
func TestCondCancel(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		const stay = 3
		rounds := 100
		for range rounds {
			var m Mutex
			c := NewCond(&m)
			ctx, cancel := context.WithCancel(context.Background())
			var woken, gaveUp atomic.Int32
			for i := range 2 * stay {
				w.Spawn(func() {
					m.Lock()
					defer m.Unlock()
					my := context.Background()
					if i%2 == 0 {
						my = ctx
					}
					if err := c.WaitContext(my); err == nil {
						woken.Add(1)
					} else {
						gaveUp.Add(1)
					}
				})
			}
			worldtest.Until(w, func() bool { return length(&c.mu, &c.queue) == 2*stay }, "all to wait")
			go cancel()
			for range stay {
				c.Signal()
			}
			worldtest.Until(w, func() bool { return woken.Load()+gaveUp.Load() >= stay }, "the signals")
			worldtest.Until(w, func() bool { return woken.Load() >= stay }, "every signal to wake somebody who takes it")
			c.Broadcast()
			w.Wait()
			require.EqualValues(w, 2*stay, woken.Load()+gaveUp.Load())
		}
	})
}

func TestWaitGroup(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		rounds := worldtest.Scale(20_000)
		var g WaitGroup
		var ended atomic.Int32
		for r := range rounds {
			g.Add(3)
			for range 3 {
				w.Spawn(func() { ended.Add(1); g.Done() })
			}
			if r%2 == 0 {
				g.Wait()
			} else {
				require.NoError(w, g.WaitContext(context.Background()))
			}
			require.EqualValues(w, 3*(r+1), ended.Load())
		}
		g.Add(1)
		ctx, cancel := context.WithCancel(context.Background())
		for range 2 {
			w.Spawn(func() {
				if err := g.WaitContext(ctx); err != context.Canceled {
					w.Error(err)
				}
			})
			w.Spawn(g.Wait)
		}
		worldtest.Until(w, func() bool { return length(&g.mu, &g.queue) == 4 }, "all to wait")
		cancel()
		worldtest.Until(w, func() bool { return length(&g.mu, &g.queue) == 2 }, "two to give up")
		g.Done()
		w.Wait()
		require.Panics(w, g.Done)
	})
}

func TestOnce(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		for range worldtest.Scale(5000) {
			var o Once
			var calls atomic.Int32
			for range 4 {
				w.Spawn(func() {
					o.Do(func() { executor.Yield(); calls.Add(1) })
					if calls.Load() != 1 {
						w.Error("Do returned before the call had")
					}
				})
			}
			w.Wait()
		}
		var o Once
		ctx, cancel := context.WithCancelCause(context.Background())
		boom := errors.New("boom")
		in, out := make(chan bool), make(chan bool)
		w.Spawn(func() {
			defer func() { _ = recover() }()
			_ = o.DoContext(context.Background(), func() { close(in); <-out; panic("once") })
		})
		<-in
		w.Spawn(func() {
			if err := o.DoContext(ctx, func() { w.Error("called twice") }); err != boom {
				w.Error(err)
			}
		})
		worldtest.Until(w, func() bool { return length(&o.m.mu, &o.m.queue) == 1 }, "the second to wait")
		require.False(w, o.Done())
		cancel(boom)
		worldtest.Until(w, func() bool { return length(&o.m.mu, &o.m.queue) == 0 }, "the second to give up")
		close(out)
		w.Wait()
		require.True(w, o.Done())
		require.NoError(w, o.DoContext(ctx, nil))
	})
}

func TestAllocs(t *testing.T) {
	if worldtest.Race {
		t.Skip("the race detector allocates")
	}
	worldtest.Each(t, func(w *worldtest.World) {
		if w.Workers != 1 {
			return
		}
		var m Mutex
		w.Spawn(func() {
			for range 2000 {
				m.Lock()
				executor.Yield()
				m.Unlock()
			}
		})
		w.Spawn(func() {
			if n := testing.AllocsPerRun(1000, func() { m.Lock(); executor.Yield(); m.Unlock() }); n != 0 {
				w.Errorf("%v allocations", n)
			}
		})
	})
}
