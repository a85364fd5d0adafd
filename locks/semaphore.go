package locks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/ouro-io/ouro/internal/waitq"
)

// ErrTooMuch means that more was asked of a Semaphore than it has in all, so that waiting would never end.
var ErrTooMuch = errors.New("locks: more permits asked for than the semaphore has")

// Semaphore lends permits, one or several at a time, to coroutines and goroutines. NewSemaphore makes one.
//
// It is fair: parties are served in the order of coming. One that needs many permits holds up those behind it that need
// few, and so cannot starve.
//
// Everything is under mu, and this always holds when it is released: the first party that waits needs more than is free.
// So whatever frees permits, or takes the first party away, serves from the front until that holds again.
type Semaphore struct {
	mu    sync.Mutex
	size  int64
	free  int64
	queue waitq.List[int64]
}

// NewSemaphore makes a semaphore with n permits. It panics when n is negative.
func NewSemaphore(n int64) *Semaphore {
	if n < 0 {
		panic(fmt.Sprintf("locks: NewSemaphore with %d permits: use 0 or more", n))
	}
	return &Semaphore{size: n, free: n}
}

// Acquire takes n permits, and waits until there are so many. It panics when n is negative or more than there are in
// all.
func (s *Semaphore) Acquire(n int64) {
	if err := s.AcquireContext(context.Background(), n); err != nil {
		panic(err)
	}
}

// AcquireContext is Acquire that gives up when ctx ends: it returns context.Cause(ctx) then, and has taken nothing. It
// returns ErrTooMuch when n is more than there are in all. With a context that has ended it takes nothing.
func (s *Semaphore) AcquireContext(ctx context.Context, n int64) error {
	if n < 0 {
		panic("locks: Acquire of a negative number of permits")
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	if s.take(n) {
		s.mu.Unlock()
		return nil
	}
	if n > s.size {
		s.mu.Unlock()
		return fmt.Errorf("%w: %d of %d", ErrTooMuch, n, s.size)
	}
	p := s.queue.Take()
	p.Value = n
	p.Waiter.Prepare()
	s.queue.PushBack(p)
	s.mu.Unlock()
	var err error
	if ctx.Done() == nil {
		p.Waiter.Wait()
	} else {
		err = p.Waiter.WaitContext(ctx, func() bool { return s.withdraw(p) })
	}
	s.queue.End(&s.mu, p, err)
	return err
}

// TryAcquire takes n permits if that is possible without waiting or overtaking, and reports whether it did.
func (s *Semaphore) TryAcquire(n int64) bool {
	if n < 0 {
		panic("locks: TryAcquire of a negative number of permits")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take(n)
}

func (s *Semaphore) take(n int64) bool {
	if n > s.free || !s.queue.Empty() {
		return false
	}
	s.free -= n
	return true
}

// Release gives n permits back. It panics when n is negative or more than were taken.
func (s *Semaphore) Release(n int64) {
	s.mu.Lock()
	if n < 0 || n > math.MaxInt64-s.free || s.free+n > s.size {
		s.mu.Unlock()
		panic(fmt.Sprintf("locks: Release of %d permits, which is more than were taken", n))
	}
	s.free += n
	var wake waitq.Chain[int64]
	s.serve(&wake)
	s.mu.Unlock()
	wake.Wake()
}

// Free is the number of permits that nobody has.
func (s *Semaphore) Free() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}

func (s *Semaphore) withdraw(p *waitq.Node[int64]) bool {
	s.mu.Lock()
	if !s.queue.Remove(p) {
		s.mu.Unlock()
		return false
	}
	var wake waitq.Chain[int64]
	s.serve(&wake)
	s.mu.Unlock()
	wake.Wake()
	return true
}

// serve gives permits to those that wait, from the front.
func (s *Semaphore) serve(wake *waitq.Chain[int64]) {
	for n := s.queue.Front(); n != nil && n.Value <= s.free; n = s.queue.Front() {
		s.free -= n.Value
		s.queue.Remove(n)
		s.queue.Retire(n)
		wake.Add(n)
	}
}
