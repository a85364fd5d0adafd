package locks

import (
	"context"
	"sync"

	"github.com/ouro-io/ouro/internal/waitq"
)

// RWMutex is a lock that many readers or one writer may hold, for coroutines and goroutines. The zero value is unlocked.
// It must not be copied after use.
//
// Writers are preferred: once one waits, readers that come later wait behind it. When a writer unlocks, the readers that
// wait by then go first, all of them, and then the next writer; so neither side can starve the other. Writers among
// themselves go first in, first out. A reader must not lock again while it holds the lock: a writer may wait in between.
//
// Everything is under mu. Parties that wait exist only while the lock is held by somebody that keeps them out, and are
// given the lock by the one who makes that end: an unlock, or a waiting writer that gives up.
type RWMutex struct {
	mu      sync.Mutex
	readers int
	writing bool
	writers waitq.List[struct{}]
	arrived waitq.List[struct{}] // readers that wait
}

// Lock locks m for writing, and waits while it is locked.
func (m *RWMutex) Lock() { _ = m.lock(context.Background(), true) }

// RLock locks m for reading, and waits while a writer has it or waits for it.
func (m *RWMutex) RLock() { _ = m.lock(context.Background(), false) }

// LockContext is Lock that gives up when ctx ends: it returns context.Cause(ctx) then, and the caller does not have the
// lock. With a context that has ended it does not lock.
func (m *RWMutex) LockContext(ctx context.Context) error { return m.lock(ctx, true) }

// RLockContext is to RLock what LockContext is to Lock.
func (m *RWMutex) RLockContext(ctx context.Context) error { return m.lock(ctx, false) }

// TryLock locks m for writing if that is possible without waiting, and reports whether it did.
func (m *RWMutex) TryLock() bool { return m.tryLock(true) }

// TryRLock locks m for reading if that is possible without waiting or overtaking a writer, and reports whether it did.
func (m *RWMutex) TryRLock() bool { return m.tryLock(false) }

func (m *RWMutex) tryLock(write bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.enter(write)
}

// enter lets a party in if nobody keeps it out.
func (m *RWMutex) enter(write bool) bool {
	switch {
	case write && m.readers == 0 && !m.writing:
		m.writing = true
	case !write && !m.writing && m.writers.Empty():
		m.readers++
	default:
		return false
	}
	return true
}

func (m *RWMutex) lock(ctx context.Context, write bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	if m.enter(write) {
		m.mu.Unlock()
		return nil
	}
	q := &m.arrived
	if write {
		q = &m.writers
	}
	n := q.Take()
	n.Waiter.Prepare()
	q.PushBack(n)
	m.mu.Unlock()
	var err error
	if ctx.Done() == nil {
		n.Waiter.Wait()
	} else {
		err = n.Waiter.WaitContext(ctx, func() bool { return m.withdraw(q, n) })
	}
	q.End(&m.mu, n, err)
	return err
}

// withdraw takes out a party that gives up. A writer may have been all that kept readers out.
func (m *RWMutex) withdraw(q *waitq.List[struct{}], n *waitq.Node[struct{}]) bool {
	m.mu.Lock()
	if !q.Remove(n) {
		m.mu.Unlock()
		return false
	}
	var wake waitq.Chain[struct{}]
	if !m.writing && m.writers.Empty() {
		m.admit(&wake)
	}
	m.mu.Unlock()
	wake.Wake()
	return true
}

// admit lets all waiting readers in.
func (m *RWMutex) admit(wake *waitq.Chain[struct{}]) {
	for n := m.arrived.PopFront(); n != nil; n = m.arrived.PopFront() {
		m.readers++
		m.arrived.Retire(n)
		wake.Add(n)
	}
}

// nextWriter lets the next writer in.
func (m *RWMutex) nextWriter(wake *waitq.Chain[struct{}]) {
	if n := m.writers.PopFront(); n != nil {
		m.writing = true
		m.writers.Retire(n)
		wake.Add(n)
	}
}

// Unlock ends writing. It panics when m is not locked for writing.
func (m *RWMutex) Unlock() {
	m.mu.Lock()
	if !m.writing {
		m.mu.Unlock()
		panic("locks: Unlock of an RWMutex that is not locked for writing")
	}
	m.writing = false
	var wake waitq.Chain[struct{}]
	m.admit(&wake)
	if wake.Empty() {
		m.nextWriter(&wake)
	}
	m.mu.Unlock()
	wake.Wake()
}

// RUnlock ends reading. It panics when m is not locked for reading.
func (m *RWMutex) RUnlock() {
	m.mu.Lock()
	if m.readers == 0 {
		m.mu.Unlock()
		panic("locks: RUnlock of an RWMutex that is not locked for reading")
	}
	m.readers--
	var wake waitq.Chain[struct{}]
	if m.readers == 0 {
		m.nextWriter(&wake)
	}
	m.mu.Unlock()
	wake.Wake()
}

// RLocker returns a sync.Locker of the read side.
func (m *RWMutex) RLocker() sync.Locker { return (*reader)(m) }

type reader RWMutex

func (r *reader) Lock()   { (*RWMutex)(r).RLock() }
func (r *reader) Unlock() { (*RWMutex)(r).RUnlock() }
