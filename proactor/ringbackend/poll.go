//go:build linux

package ringbackend

import (
	"fmt"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// User data that belongs to no operation: kinds that op.Kind never reaches.
const (
	nobody   op.Ref  = 0
	wakeKind op.Kind = 0xff
	tickKind op.Kind = 0xfe
	// cancelMark is on a cancel, beside the Ref of what it cancels.
	cancelMark op.Ref = 1 << 63
)

// Poll hands the turn's submissions to the kernel in one system call and delivers what has completed. What ends a wait
// without being anybody's completion (the tick, a signal) makes it wait on.
func (b *Backend) Poll(wait time.Duration) (int, error) {
	var end time.Time
	if wait > 0 {
		end = time.Now().Add(wait)
	}
	if len(b.again) > 0 {
		b.cancelAgain()
	}
	for {
		if b.broken != nil {
			return 0, b.broken
		}
		if b.released {
			return 0, op.ErrClosed
		}
		b.prepareTurn()
		if wait != 0 && b.ring.Ready() == 0 {
			b.wait(wait)
		} else {
			b.flush()
		}
		n := b.reap()
		if b.yield {
			b.yield = false
			runtime.Gosched()
		}
		if n > 0 || b.awoken || wait == 0 {
			b.awoken = false
			return n, b.broken
		}
		if wait > 0 {
			if wait = time.Until(end); wait <= 0 {
				return 0, b.broken
			}
		}
	}
}

// noteThread records on which thread the system call that follows is made.
func (b *Backend) noteThread() {
	if t := int32(unix.Gettid()); t != b.thread {
		if b.thread != 0 {
			b.wakeArmed = false // the next turn moves it here
		}
		b.thread = t
	}
	for _, slot := range b.fresh {
		b.armedBy[slot] = b.thread
	}
	b.fresh = b.fresh[:0]
}

// enter makes the system call. Errors that mean "not now" leave the rest of the queue for the next one. A timeout < 0
// is none.
func (b *Backend) enter(waitNr uint32, timeout time.Duration) syscall.Errno {
	b.noteThread()
	b.stats.syscalls.Add(1)
	if b.ring.Overflowed() {
		b.stats.overflows.Add(1)
	}
	var errno syscall.Errno
	if waitNr == 0 {
		_, errno = b.ring.SubmitAndReap()
	} else {
		_, errno = b.ring.SubmitAndHold(waitNr, timeout)
	}
	switch errno {
	case 0, syscall.ETIME, syscall.EINTR, syscall.EAGAIN, syscall.EBUSY:
	default:
		b.broken = fmt.Errorf("io_uring_enter: %w", errno)
	}
	return errno
}

// reap delivers what is in the completion queue now, and publishes its head once. What arrives meanwhile is for the next
// turn: a multishot whose data another thread keeps putting in would otherwise hold up commands and tasks.
func (b *Backend) reap() int {
	n := 0
	for left := b.ring.Ready(); left > 0; left-- {
		cqe, ok := b.ring.Next()
		if !ok {
			break
		}
		n += b.deliver(&cqe)
	}
	b.ring.PublishHead()
	if n > 0 {
		b.pace.Delivered(n)
		b.stats.polls.Add(1)
		b.completed += uint64(n)
		b.stats.completed.Store(b.completed)
		b.stats.submitted.Store(b.submitted)
		b.stats.inFlight.Store(int64(b.table.Len()))
	}
	return n
}

// deliver tells the owner of one completion; it returns 0 for those that are nobody's.
func (b *Backend) deliver(cqe *uring.CQE) int {
	ref := op.Ref(cqe.UserData)
	o := b.table.Get(ref)
	if o == nil {
		b.unclaimed(ref, cqe)
		return 0
	}
	c := &b.completion
	*c = op.Completion{More: cqe.More()}
	if cqe.Res >= 0 {
		c.Result = cqe.Res
	} else {
		c.Errno = syscall.Errno(-cqe.Res)
	}
	if o.Kind.ZeroCopy() {
		return b.deliverZC(o, cqe)
	}
	if id, ok := cqe.Buffer(); ok {
		c.Lease = b.lease(id, cqe.Res)
	}
	// Of other operations it speaks of the kernel's own memory.
	if c.Errno == syscall.ENOBUFS && (o.Kind == op.Recv || o.Kind == op.RecvMsg) {
		b.outOfBuffers(c)
	}
	if c.More {
		b.followThread(ref)
	} else {
		b.table.Drop(o)
	}
	o.Done.Complete(o, c)
	return 1
}

func (b *Backend) lease(id uint16, res int32) buffers.Lease {
	if res <= 0 {
		b.group.Put(id)
		return buffers.Lease{}
	}
	return b.group.Filled(id, int(res))
}

// outOfBuffers hands more buffers to the kernel where the configuration allows; then the completion means no more
// than "again". (Waiting for those that are out to come back instead, for a few turns, saved 55 bytes per idle connection
// in a burst and cost 1,000 busy ones a factor of 3.6.)
func (b *Backend) outOfBuffers(c *op.Completion) {
	if b.group.Grow() {
		c.Errno = syscall.EINTR
		return
	}
	b.stats.noBuffers.Add(1)
	b.group.Starve()
}

// followThread ends a multishot that was armed on another thread; see the package comment. A worker that parks comes back
// on any thread, so there it is not worth while.
func (b *Backend) followThread(ref op.Ref) {
	armed := &b.armedBy[ref.Slot()]
	if *armed == b.thread || *armed == 0 || !b.pace.Held() {
		return
	}
	*armed = 0
	b.stats.rearmed.Add(1)
	b.cancel(ref)
}

// unclaimed disposes of a completion without an operation: the backend's own, and late ones.
func (b *Backend) unclaimed(ref op.Ref, cqe *uring.CQE) {
	switch {
	case ref.Kind() == wakeKind:
		b.woken.Store(false)
		b.awoken = b.awoken || cqe.Res >= 0
		if !cqe.More() && ref == b.wakeRef() {
			b.wakeArmed = false
		}
		return
	case ref.Kind() == tickKind:
		b.ticked()
		return
	case ref&cancelMark != 0:
		if cqe.Res < 0 {
			b.missed(ref &^ cancelMark)
		}
		return
	case ref == nobody:
		return
	}
	if id, ok := cqe.Buffer(); ok {
		b.group.Put(id)
	}
	if ref.Kind() == op.Accept && cqe.Res >= 0 {
		// Nobody will serve it, so its peer is reset; and with an SO_LINGER of its listener's close(2) would wait.
		_ = unix.SetsockoptLinger(int(cqe.Res), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		_ = unix.Close(int(cqe.Res))
	}
}
