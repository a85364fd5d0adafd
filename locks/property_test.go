package locks

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/worldtest"
)

// request is a party that has asked for a lock.
type request struct {
	n      int64
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// fifo is the model of a fair lock: permits, and a queue that is served from the front.
type fifo struct {
	size, free int64
	queue      []*request
	held       []*request
}

// serve grants what can be granted, as policy says which of the queue is next.
func (m *fifo) serve(t *rapid.T, next func() int) {
	for {
		i := next()
		if i < 0 {
			return
		}
		r := m.queue[i]
		m.queue = slices.Delete(m.queue, i, i+1)
		m.free -= r.n
		m.held = append(m.held, r)
		finished(t, r, nil)
	}
}

func finished(t *rapid.T, r *request, err error) {
	select {
	case <-r.done:
	case <-time.After(worldtest.Hang):
		t.Fatal("a party that should have finished waits")
	}
	r.cancel()
	if r.err != err {
		t.Fatalf("got %v, want %v", r.err, err)
	}
}

// system is a lock with the model's view of it.
type system struct {
	fifo
	lock    anyLock
	all     []*request
	waiting func() int
	next    func() int // the place in the queue of the next that can be granted, -1
	left    int64      // what the last release gave back, 0 when it was a cancellation
	spawn   func(func())
}

// newSystems returns a fair mutex, a semaphore and a read-write mutex.
func newSystems(spawn func(func())) map[string]func() *system {
	front := func(s *system) func() int {
		return func() int {
			if len(s.queue) > 0 && s.queue[0].n <= s.free {
				return 0
			}
			return -1
		}
	}
	return map[string]func() *system{
		"mutex": func() *system {
			m := new(Mutex)
			s := &system{spawn: spawn, waiting: func() int { return length(&m.mu, &m.queue) }, lock: anyLock{1, []int64{1},
				func(ctx context.Context, _ int64) error { return m.LockContext(ctx) },
				func(int64) bool { return m.TryLock() }, func(int64) { m.Unlock() }}}
			s.next = front(s)
			return s
		},
		"semaphore": func() *system {
			p := NewSemaphore(4)
			s := &system{spawn: spawn, waiting: func() int { return length(&p.mu, &p.queue) },
				lock: anyLock{4, []int64{0, 1, 2, 4}, p.AcquireContext, p.TryAcquire, p.Release}}
			s.next = front(s)
			return s
		},
		"rwmutex": func() *system {
			m := new(RWMutex)
			s := &system{spawn: spawn, lock: anyLocks()["rwmutex"]()}
			s.lock.acquire = func(ctx context.Context, n int64) error { return m.lock(ctx, n > 1) }
			s.lock.try = func(n int64) bool { return m.tryLock(n > 1) }
			s.lock.release = func(n int64) {
				if n > 1 {
					m.Unlock()
				} else {
					m.RUnlock()
				}
			}
			s.waiting = func() int { return length(&m.mu, &m.writers) + length(&m.mu, &m.arrived) }
			batch := false // the readers that waited when a writer left are going in
			s.next = func() int {
				reader := slices.IndexFunc(s.queue, func(r *request) bool { return r.n == 1 })
				writer := slices.IndexFunc(s.queue, func(r *request) bool { return r.n > 1 })
				switch {
				case reader >= 0 && s.free > 0 && (s.left > 1 && s.free == s.lock.size || batch || writer < 0):
					batch = true
					return reader
				case writer >= 0 && s.free == s.lock.size:
					return writer
				}
				batch = false
				return -1
			}
			return s
		},
	}
}

func (s *system) end() {
	for _, r := range s.all {
		r.cancel()
	}
}

func (s *system) actions() map[string]func(*rapid.T) {
	size := func(t *rapid.T) int64 { return rapid.SampledFrom(s.lock.sizes).Draw(t, "n") }
	return map[string]func(*rapid.T){
		"": func(t *rapid.T) {
			for end := time.Now().Add(worldtest.Hang); s.waiting() != len(s.queue); time.Sleep(time.Microsecond) {
				if time.Now().After(end) {
					t.Fatalf("%d wait, not %d", s.waiting(), len(s.queue))
				}
			}
		},
		"acquire": func(t *rapid.T) {
			ctx, cancel := context.WithCancel(context.Background())
			r := &request{n: size(t), cancel: cancel, done: make(chan struct{})}
			s.all = append(s.all, r)
			var started sync.WaitGroup
			started.Add(1)
			s.spawn(func() { defer close(r.done); started.Done(); r.err = s.lock.acquire(ctx, r.n) })
			started.Wait()
			if len(s.queue) == 0 && r.n <= s.free {
				s.free -= r.n
				s.held = append(s.held, r)
				finished(t, r, nil)
				return
			}
			s.queue = append(s.queue, r)
		},
		"try": func(t *rapid.T) {
			n := size(t)
			can := len(s.queue) == 0 && n <= s.free
			require.Equal(t, can, s.lock.try(n))
			if can {
				s.free -= n
				s.held = append(s.held, &request{n: n})
			}
		},
		"release": func(t *rapid.T) {
			if len(s.held) == 0 {
				t.Skip("nobody holds it")
			}
			i := rapid.IntRange(0, len(s.held)-1).Draw(t, "i")
			n := s.held[i].n
			s.held = slices.Delete(s.held, i, i+1)
			s.lock.release(n)
			s.free += n
			s.left = n
			s.serve(t, s.next)
		},
		"cancel": func(t *rapid.T) {
			if len(s.queue) == 0 {
				t.Skip("nobody waits")
			}
			i := rapid.IntRange(0, len(s.queue)-1).Draw(t, "i")
			r := s.queue[i]
			s.queue = slices.Delete(s.queue, i, i+1)
			r.cancel()
			finished(t, r, context.Canceled)
			s.left = 0
			s.serve(t, s.next)
		},
	}
}

// Any sequence of operations serves exactly those parties that the model says, step by step.
func TestLocksModel(t *testing.T) {
	e, err := executor.New(executor.Config{Workers: 2})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Shutdown(context.Background())) }()
	for where, spawn := range map[string]func(func()){
		"goroutines": func(f func()) { go f() },
		"coroutines": func(f func()) {
			if e.Go(f) != nil {
				panic("Go")
			}
		},
	} {
		for name, newSystem := range newSystems(spawn) {
			t.Run(name+" "+where, func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) {
					s := newSystem()
					s.free, s.size = s.lock.size, s.lock.size
					defer s.end() // also of an attempt that rapid breaks off
					t.Repeat(s.actions())
					for _, r := range s.queue {
						r.cancel()
						if <-r.done; r.err == nil { // it was served because another gave up
							s.held = append(s.held, r)
						}
					}
					for _, r := range s.held {
						s.lock.release(r.n)
					}
					require.True(t, s.lock.try(s.size), "not free at the end")
				})
			})
		}
	}
}
