package locks

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ouro-io/ouro/internal/waitq"
)

// Mutex is a mutual exclusion lock for coroutines and goroutines. Unlike a sync.Mutex it may be held while a coroutine
// suspends, and waiting for it does not hold a worker up. The zero value is unlocked. It must not be copied after use.
//
// It is fair: who waits gets the lock in the order of coming, handed over by Unlock, and nobody overtakes. So each
// hand-over costs a resumption. With Barging whoever comes just then may take it first.
//
// States. The word state says "locked" and "not simple": parties wait, or one was woken and is on its way. Only "not
// simple" makes Lock and Unlock take mu, under which it is set and cleared, and the queue and woken belong to mu. A
// fair lock that somebody waits for is never free: Unlock leaves it locked, for the one that it wakes. A barging one
// becomes free, and Unlock wakes one party unless one is on its way; that tries again, and queues at the front when it
// comes too late.
type Mutex struct {
	// Barging lets whoever comes first have the lock when it becomes free, also before those that have waited longer.
	// That is faster when parties on several workers hold it for short times, and lets some wait long. It must be set
	// before the first use.
	Barging bool

	state atomic.Uint32
	mu    sync.Mutex
	woken bool
	queue waitq.List[struct{}]
}

const (
	mutexLocked uint32 = 1 << iota
	mutexNotSimple
)

// Lock locks m, and waits while it is locked.
func (m *Mutex) Lock() {
	if !m.state.CompareAndSwap(0, mutexLocked) {
		_ = m.lockSlow(context.Background()) // which never ends
	}
}

// LockContext is Lock that gives up when ctx ends: it returns context.Cause(ctx) then, and the caller does not have the
// lock. With a context that has ended it does not lock.
func (m *Mutex) LockContext(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if m.state.CompareAndSwap(0, mutexLocked) {
		return nil
	}
	return m.lockSlow(ctx)
}

// TryLock locks m if that is possible without waiting or overtaking, and reports whether it did.
func (m *Mutex) TryLock() bool {
	s := m.state.Load()
	return (s == 0 || s == mutexNotSimple && m.Barging) && m.state.CompareAndSwap(s, s|mutexLocked)
}

// Unlock unlocks m, on any goroutine or coroutine. It panics when m is not locked.
func (m *Mutex) Unlock() {
	if !m.state.CompareAndSwap(mutexLocked, 0) {
		m.unlockSlow()
	}
}

func (m *Mutex) lockSlow(ctx context.Context) error {
	if m.spin() {
		return nil
	}
	m.mu.Lock()
	if m.take() {
		m.settle()
		m.mu.Unlock()
		return nil
	}
	n := m.queue.Take()
	n.Waiter.Prepare()
	m.queue.PushBack(n)
	for {
		m.mu.Unlock()
		err := m.queue.Await(ctx, &m.mu, n)
		if err == nil && !m.Barging {
			n.Done() // Unlock has retired it
			return nil
		}
		m.mu.Lock()
		if err == nil {
			m.woken = false
			if !m.take() {
				n.Waiter.Prepare()
				m.queue.PushFront(n)
				continue
			}
			m.settle()
		}
		m.queue.Give(n)
		m.mu.Unlock()
		return err
	}
}

// take locks m if it is free, and makes it "not simple" if it is not. The caller holds mu.
func (m *Mutex) take() bool {
	for {
		s := m.state.Load()
		if s&mutexLocked == 0 {
			if m.state.CompareAndSwap(s, s|mutexLocked) {
				return true
			}
		} else if s&mutexNotSimple != 0 || m.state.CompareAndSwap(s, s|mutexNotSimple) {
			return false
		}
	}
}

// settle makes m simple again if it is. The caller has the lock and holds mu.
func (m *Mutex) settle() {
	if m.queue.Empty() && !m.woken {
		m.state.Store(mutexLocked)
	}
}

func (m *Mutex) unlockSlow() {
	m.mu.Lock()
	if m.state.Load()&mutexLocked == 0 {
		m.mu.Unlock()
		panic("locks: Unlock of a Mutex that is not locked")
	}
	n := m.queue.Front()
	switch {
	case n == nil && !m.woken:
		m.state.Store(0)
	case !m.Barging: // n has the lock now
		m.queue.Remove(n)
		m.queue.Retire(n)
		m.settle()
	default:
		if m.woken {
			n = nil
		} else {
			m.queue.Remove(n)
			m.woken = true
		}
		m.state.Store(mutexNotSimple)
	}
	m.mu.Unlock()
	if n != nil {
		n.Waiter.Wake()
	}
}

// lockSpins is how often Lock looks again before it queues, while nobody waits: a lock that another worker holds is
// mostly free again sooner than a suspension takes. It must be little, since the holder may as well be suspended.
const lockSpins = 8

// parallel tells that another party may run meanwhile.
var parallel = runtime.NumCPU() > 1

// spin tries to get a lock that nobody waits for.
func (m *Mutex) spin() bool {
	for i := 0; i < lockSpins && parallel; i++ {
		s := m.state.Load()
		if s&mutexNotSimple != 0 && !m.Barging {
			return false
		}
		if s&mutexLocked == 0 && m.TryLock() {
			return true
		}
		for range 4 * i {
			if m.state.Load()&mutexLocked == 0 {
				break
			}
		}
	}
	return false
}
