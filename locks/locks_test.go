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
		worlds(t, func(w *world) {
			const parties = 8
			n := scale(1_000_000) / parties
			m := Mutex{Barging: barging}
			count := 0 // the race detector looks at this one too
			for range parties {
				w.spawn(func() {
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
			w.wait()
			require.Equal(w, parties*n, count)
			require.Zero(w, m.state.Load())
		})
	}
}

func TestMutexFIFO(t *testing.T) {
	worlds(t, func(w *world) {
		var m Mutex
		m.Lock()
		var order []int
		for i := range 5 {
			w.spawn(func() {
				m.Lock()
				order = append(order, i)
				m.Unlock()
			})
			until(w, func() bool { return length(&m.mu, &m.queue) == i+1 }, "the party to wait")
		}
		require.False(w, m.TryLock())
		m.Unlock()
		w.wait()
		require.Equal(w, []int{0, 1, 2, 3, 4}, order)
		require.Panics(w, m.Unlock)
	})
}

// Parties whose contexts end at any time: the lock is neither lost nor given twice.
func TestMutexCancel(t *testing.T) {
	for _, barging := range []bool{false, true} {
		worlds(t, func(w *world) {
			const parties = 6
			n := scale(12_000) / parties
			m := Mutex{Barging: barging}
			count, want := 0, atomic.Int64{}
			for p := range parties {
				w.spawn(func() {
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
			w.wait()
			require.EqualValues(w, want.Load(), count)
			require.Zero(w, m.state.Load())
			require.Zero(w, length(&m.mu, &m.queue))
		})
	}
}

func TestRWMutexStress(t *testing.T) {
	worlds(t, func(w *world) {
		const parties = 8
		n := scale(500_000) / parties
		var m RWMutex
		var readers atomic.Int32
		count := 0
		for p := range parties {
			w.spawn(func() {
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
		w.wait()
		require.Equal(w, parties*n/4, count)
		require.Panics(w, m.Unlock)
		require.Panics(w, m.RUnlock)
	})
}

// A waiting writer keeps later readers out; readers that wait when a writer leaves go before the next writer; and when
// the writer that keeps readers out gives up, they go on.
func TestRWMutexOrder(t *testing.T) {
	worlds(t, func(w *world) {
		var m RWMutex
		m.RLock()
		require.True(w, m.TryRLock())
		ctx, cancel := context.WithCancel(context.Background())
		w.spawn(func() {
			if err := m.LockContext(ctx); err != context.Canceled {
				w.Error(err)
			}
		})
		until(w, func() bool { return length(&m.mu, &m.writers) == 1 }, "the writer to wait")
		require.False(w, m.TryRLock())
		var in atomic.Int32
		for i := range 2 {
			w.spawn(func() { m.RLock(); in.Add(1) })
			until(w, func() bool { return length(&m.mu, &m.arrived) == i+1 }, "the readers to wait")
		}
		cancel()
		w.wait()
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
			w.spawn(func() { m.Lock(); note("w"); m.Unlock() })
			until(w, func() bool { return length(&m.mu, &m.writers) == i+1 }, "the writers to wait")
			w.spawn(func() { m.RLock(); note("r"); m.RUnlock() })
			until(w, func() bool { return length(&m.mu, &m.arrived) == i+1 }, "the readers to wait")
		}
		m.Unlock()
		w.wait()
		require.Equal(w, []string{"r", "r", "w", "w"}, order)
	})
}

func TestRWMutexCancel(t *testing.T) {
	worlds(t, func(w *world) {
		const parties = 6
		n := scale(12_000) / parties
		var m RWMutex
		count := 0
		for p := range parties {
			w.spawn(func() {
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
		w.wait()
		require.True(w, m.TryLock(), "the lock was lost")
	})
}

func TestSemaphoreStress(t *testing.T) {
	worlds(t, func(w *world) {
		const parties, size = 8, 5
		n := scale(500_000) / parties
		s := NewSemaphore(size)
		var out atomic.Int64
		for p := range parties {
			w.spawn(func() {
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
		w.wait()
		require.EqualValues(w, size, s.Free())
	})
}

func TestSemaphoreCancel(t *testing.T) {
	worlds(t, func(w *world) {
		const parties, size = 6, 3
		n := scale(12_000) / parties
		s := NewSemaphore(size)
		for p := range parties {
			w.spawn(func() {
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
		w.wait()
		require.EqualValues(w, size, s.Free())
		require.Zero(w, length(&s.mu, &s.queue))
	})
}

// A large request at the front holds small ones up, so that it cannot starve; when it gives up they are served.
func TestSemaphoreFront(t *testing.T) {
	worlds(t, func(w *world) {
		s := NewSemaphore(3)
		s.Acquire(2)
		ctx, cancel := context.WithCancel(context.Background())
		w.spawn(func() {
			if err := s.AcquireContext(ctx, 3); err != context.Canceled {
				w.Error(err)
			}
		})
		until(w, func() bool { return length(&s.mu, &s.queue) == 1 }, "the large one to wait")
		require.False(w, s.TryAcquire(1))
		w.spawn(func() { s.Acquire(1) })
		until(w, func() bool { return length(&s.mu, &s.queue) == 2 }, "the small one to wait")
		cancel()
		w.wait()
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
	worlds(t, func(w *world) {
		const parties, room = 3, 2
		n := scale(100_000) / parties
		var m Mutex
		full, empty := NewCond(&m), NewCond(&m)
		var buf []int
		sum := 0
		for range parties {
			w.spawn(func() {
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
			w.spawn(func() {
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
		w.wait()
		require.Equal(w, parties*n*(n-1)/2, sum)
	})
}

// Each Signal wakes exactly one party that does not give up: signals are not lost to those that do.
func TestCondCancel(t *testing.T) {
	worlds(t, func(w *world) {
		const stay = 3
		rounds := 100
		for range rounds {
			var m Mutex
			c := NewCond(&m)
			ctx, cancel := context.WithCancel(context.Background())
			var woken, gaveUp atomic.Int32
			for i := range 2 * stay {
				w.spawn(func() {
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
			until(w, func() bool { return length(&c.mu, &c.queue) == 2*stay }, "all to wait")
			go cancel()
			for range stay {
				c.Signal()
			}
			until(w, func() bool { return woken.Load()+gaveUp.Load() >= stay }, "the signals")
			until(w, func() bool { return woken.Load() >= stay }, "every signal to wake somebody who takes it")
			c.Broadcast()
			w.wait()
			require.EqualValues(w, 2*stay, woken.Load()+gaveUp.Load())
		}
	})
}

func TestWaitGroup(t *testing.T) {
	worlds(t, func(w *world) {
		rounds := scale(20_000)
		var g WaitGroup
		var ended atomic.Int32
		for r := range rounds {
			g.Add(3)
			for range 3 {
				w.spawn(func() { ended.Add(1); g.Done() })
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
			w.spawn(func() {
				if err := g.WaitContext(ctx); err != context.Canceled {
					w.Error(err)
				}
			})
			w.spawn(g.Wait)
		}
		until(w, func() bool { return length(&g.mu, &g.queue) == 4 }, "all to wait")
		cancel()
		until(w, func() bool { return length(&g.mu, &g.queue) == 2 }, "two to give up")
		g.Done()
		w.wait()
		require.Panics(w, g.Done)
	})
}

func TestOnce(t *testing.T) {
	worlds(t, func(w *world) {
		for range scale(5000) {
			var o Once
			var calls atomic.Int32
			for range 4 {
				w.spawn(func() {
					o.Do(func() { executor.Yield(); calls.Add(1) })
					if calls.Load() != 1 {
						w.Error("Do returned before the call had")
					}
				})
			}
			w.wait()
		}
		var o Once
		ctx, cancel := context.WithCancelCause(context.Background())
		boom := errors.New("boom")
		in, out := make(chan bool), make(chan bool)
		w.spawn(func() {
			defer func() { _ = recover() }()
			_ = o.DoContext(context.Background(), func() { close(in); <-out; panic("once") })
		})
		<-in
		w.spawn(func() {
			if err := o.DoContext(ctx, func() { w.Error("called twice") }); err != boom {
				w.Error(err)
			}
		})
		until(w, func() bool { return length(&o.m.mu, &o.m.queue) == 1 }, "the second to wait")
		require.False(w, o.Done())
		cancel(boom)
		until(w, func() bool { return length(&o.m.mu, &o.m.queue) == 0 }, "the second to give up")
		close(out)
		w.wait()
		require.True(w, o.Done())
		require.NoError(w, o.DoContext(ctx, nil))
	})
}

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	worlds(t, func(w *world) {
		if w.workers != 1 {
			return
		}
		var m Mutex
		w.spawn(func() {
			for range 2000 {
				m.Lock()
				executor.Yield()
				m.Unlock()
			}
		})
		w.spawn(func() {
			if n := testing.AllocsPerRun(1000, func() { m.Lock(); executor.Yield(); m.Unlock() }); n != 0 {
				w.Errorf("%v allocations", n)
			}
		})
	})
}
