//go:build linux

package ringbackend

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/netpark"
	"github.com/ouro-io/ouro/internal/op"
)

// wait waits for a completion at most for limit, without limit when < 0. What is queued is handed over first. How it
// waits is netpark.Pace's decision; the tick that this needs is a timeout operation.
//
// As long as the ring is registered with the runtime's poller, each completion also wakes the thread that waits there,
// for nothing. So it is registered when the worker parks, and taken out after some waits without.
//
// When the kernel takes no more entries for now, or a cancel is to be repeated, the wait lasts retryAfter at most.
func (b *Backend) wait(limit time.Duration) {
	if b.behind() {
		b.park(retryAfter)
		return
	}
	if again := len(b.again) > 0; again || !b.pace.Hold() {
		b.flush()
		if (again || b.ring.Queued() > 0) && (limit < 0 || limit > retryAfter) {
			limit = retryAfter
		}
		if b.ring.Ready() == 0 && b.broken == nil {
			b.park(limit)
		}
		b.cancelAgain()
		return
	}
	if !b.ticking && !b.closed {
		b.armTick()
	}
	b.unparkLater()
	if limit >= b.idleAfter && b.ticking {
		limit = -1 // the tick comes first
	}
	switch b.enter(1, limit) {
	case syscall.EAGAIN, syscall.EBUSY:
		if b.ring.Ready() == 0 {
			b.park(retryAfter)
		}
	}
}

// retryAfter is when a submission that the kernel refused for the time being is tried again, or a cancel that ended nothing.
const retryAfter = time.Millisecond

// flush enters the kernel if it has anything to take or holds anything back.
func (b *Backend) flush() {
	if b.ring.Queued() > 0 || b.ring.TaskrunPending() || b.ring.Overflowed() {
		b.enter(0, 0)
	}
}

// park waits in the runtime's poller.
func (b *Backend) park(limit time.Duration) {
	if b.parker == nil {
		p, err := netpark.New(b.ring.FD(), "io_uring", b.somethingReady)
		if err != nil {
			// Out of descriptors, most likely. Waiting in the system call is no less correct.
			b.enter(1, limit)
			return
		}
		b.parker = p
	}
	b.unparked = 0
	if _, err := b.parker.Wait(max(limit, 0)); err != nil {
		b.broken = fmt.Errorf("wait on io_uring: %w", err)
	}
}

func (b *Backend) somethingReady() bool { return b.ring.Ready() > 0 || b.ring.Overflowed() }

func (b *Backend) unparkLater() {
	if b.parker == nil {
		return
	}
	if b.unparked++; b.pace.DropParker(b.unparked) {
		b.unpark()
	}
}

func (b *Backend) unpark() {
	if b.parker != nil {
		_ = b.parker.Close()
		b.parker = nil
	}
}

// prepareTurn queues what found the submission queue full, and arms what ends a wait.
func (b *Backend) prepareTurn() {
	for b.behind() && !b.catchUp() && b.enter(0, 0) == 0 {
	}
	if !b.wakeArmed && !b.closed {
		b.armWake()
	}
}

// behind reports whether anything waits for room in the submission queue.
func (b *Backend) behind() bool { return len(b.waiting) > 0 || len(b.late) > 0 }

// catchUp queues what waits, operations before their cancels; false when the submission queue is full before the end.
func (b *Backend) catchUp() bool {
	for i, o := range b.waiting {
		s := b.ring.GetSQE()
		if s == nil {
			b.waiting = append(b.waiting[:0], b.waiting[i:]...)
			return false
		}
		b.fill(s, o)
	}
	b.waiting = nil
	for len(b.late) > 0 {
		s := b.ring.GetSQE()
		if s == nil {
			return false
		}
		last := len(b.late) - 1
		prepareCancel(s, b.late[last])
		b.late = b.late[:last]
	}
	return true
}

// armWake starts a multishot poll on the eventfd under a new identity, ending the one of the thread before.
func (b *Backend) armWake() {
	if b.wakeGen != 0 {
		b.cancel(b.wakeRef())
	}
	s := b.sqe()
	if s == nil {
		return // the next turn tries again
	}
	b.wakeGen = (b.wakeGen + 1) | 1
	s.PrepPollMultishot(b.wakeFD, unix.EPOLLIN)
	s.UserData = uint64(b.wakeRef())
	b.wakeArmed = true
}

func (b *Backend) wakeRef() op.Ref { return op.Ref(wakeKind)<<56 | op.Ref(b.wakeGen) }

func (b *Backend) armTick() {
	s := b.sqe()
	if s == nil {
		return
	}
	s.PrepTimeout(&b.tick, 0, 0)
	s.UserData = uint64(op.Ref(tickKind) << 56)
	b.ticking = true
}

// ticked is told of the tick, or that the thread that armed it has gone.
func (b *Backend) ticked() {
	b.ticking = false
	b.yield = b.pace.Tick()
}
