package executor

import "sync/atomic"

// A deque holds the ready tasks of one priority of one worker. It is the Chase–Lev deque (Chase and Lev, "Dynamic
// circular work-stealing deque", SPAA 2005), with one change: the owner takes from the top, as thieves do.
//
// Taking from the bottom would run the newest task first. Here a task is a connection that has something to do, and a
// connection must not wait longer because others came later, so the order is first in, first out for everybody. With
// that a take is always a compare-and-swap on top, and the delicate case of the original (owner and thief at the last
// element) does not exist.
//
// Invariants: top never falls, so a successful swap of top proves that nobody took the slot in between. Only the owner
// writes bottom, the ring and the slots, and it writes slot i only while i is outside [top, bottom). A ring that was
// replaced is never written again, so a thief that still holds it reads the same task there.
type deque struct {
	top    atomic.Int64
	_      [56]byte // thieves write top, the owner writes bottom
	bottom atomic.Int64
	ring   atomic.Pointer[ring]
}

type ring struct {
	mask  int64
	slots []atomic.Pointer[Task]
}

const dequeStart = 64 // slots; a power of two

func newRing(n int) *ring {
	return &ring{mask: int64(n - 1), slots: make([]atomic.Pointer[Task], n)}
}

func (d *deque) init() { d.ring.Store(newRing(dequeStart)) }

// push puts t at the bottom. Owner only.
func (d *deque) push(t *Task) {
	b := d.bottom.Load()
	r := d.ring.Load()
	if b-d.top.Load() > r.mask {
		r = d.grow(r, b)
	}
	r.slots[b&r.mask].Store(t)
	d.bottom.Store(b + 1)
}

//go:noinline
func (d *deque) grow(old *ring, b int64) *ring {
	r := newRing(2 * len(old.slots))
	for i := d.top.Load(); i < b; i++ {
		r.slots[i&r.mask].Store(old.slots[i&old.mask].Load())
	}
	d.ring.Store(r)
	return r
}

// take removes the oldest task, nil when there is none. Owner only.
func (d *deque) take() *Task {
	for {
		t := d.top.Load()
		if t >= d.bottom.Load() {
			return nil
		}
		r := d.ring.Load()
		s := &r.slots[t&r.mask]
		x := s.Load()
		if d.top.CompareAndSwap(t, t+1) {
			// The slot would keep the task reachable until it is used again. A thief cannot clear its slot: the
			// owner may have refilled it already.
			s.Store(nil)
			return x
		}
	}
}

// steal removes the oldest task, nil when there is none. Any goroutine.
func (d *deque) steal() *Task {
	for {
		t := d.top.Load()
		if t >= d.bottom.Load() {
			return nil
		}
		r := d.ring.Load()
		x := r.slots[t&r.mask].Load()
		if d.top.CompareAndSwap(t, t+1) {
			return x
		}
	}
}

// len is exact for the owner as long as nobody steals, a guess for others.
func (d *deque) len() int {
	t := d.top.Load()
	return max(0, int(d.bottom.Load()-t))
}

func (d *deque) empty() bool { return d.top.Load() >= d.bottom.Load() }
