//go:build linux

package ringbackend

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/fixedbuf"
	"github.com/ouro-io/ouro/internal/netpark"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// bufferGroup is the id of the provided-buffer ring. Each ring has one.
const bufferGroup = 0

// Backend is one worker's ring; op.Backend says who may call what.
type Backend struct {
	ring    *uring.Ring
	bufRing *uring.BufRing
	group   *buffers.Group
	table   op.Table
	// restrict is what the ring is restricted to.
	restrict Restrict
	// armedBy holds, by slot, the thread that a multishot was armed on, 0 while that is not known or once its end was
	// asked for; fresh lists the slots of those that wait in the submission queue.
	armedBy []int32
	fresh   []uint32
	thread  int32

	wakeMu    sync.Mutex // held around a write, so that wakeFD is not closed under it
	wakeFD    int
	wakeGen   uint32 // identity of the wake-up poll in flight
	wakeArmed bool
	woken     atomic.Bool // Wake was called, and its event not seen yet
	awoken    bool        // the event was seen; ends the Poll

	parker    *netpark.Parker // nil while not needed
	unparked  int             // waits since it was used
	idleAfter time.Duration
	tick      uring.Timespec // idleAfter
	ticking   bool           // the tick is armed
	pace      netpark.Pace
	yield     bool     // let others have the P at the end of this Poll
	waiting   []*op.Op // accepted while the kernel took none, oldest first; they may not be cancelled before prepared
	late      []op.Ref // cancels that found the submission queue full
	again     []op.Ref // cancels that found their operation out of reach, see cancel
	closed    bool     // Submit refuses
	released  bool     // the kernel's resources are given back
	broken    error
	// completion is the record that Complete is shown: one for all, so that no completion allocates.
	completion op.Completion

	zeroCopy             zeroCopy
	fixed                fixedbuf.Table
	fixedSends           bool // also for sends without a copy
	submitted, completed uint64
	stats                counters
}

// counters are written by the runner only, mostly once per turn, and read by anyone.
type counters struct {
	inFlight                      atomic.Int64
	submitted, completed          atomic.Uint64
	syscalls, polls               atomic.Uint64
	noBuffers, overflows, rearmed atomic.Uint64
}

// New sets a ring up. Its error wraps the errno and says what to do about it.
func New(c Config) (*Backend, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Backend{wakeFD: -1, restrict: c.Restrict, idleAfter: c.IdleAfter, tick: uring.TimespecOf(c.IdleAfter)}
	if err := b.open(c); err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

func (b *Backend) open(c Config) (err error) {
	if b.ring, err = setup(c); err != nil {
		return err
	}
	if _, _, err = b.ring.RegisterIOWQMaxWorkers(uint32(c.FileThreads), 0); err != nil {
		return err
	}
	if b.group, err = buffers.NewGroup(c.Buffers); err != nil {
		return err
	}
	entries := uint32(1)
	for entries < uint32(b.group.Stats().Count) {
		entries *= 2
	}
	if b.bufRing, err = b.ring.RegisterBufRing(bufferGroup, entries); err != nil {
		return fmt.Errorf("register a provided-buffer ring (needs Linux 5.19): %w", err)
	}
	b.group.Attach(b.bufRing)
	if b.wakeFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	b.fixed.Init(b.ring, c.Fixed)
	b.fixedSends = c.Fixed != nil && c.Fixed.SmallPages()
	return enable(b.ring, c.Restrict)
}

// Submit prepares o; the next Poll, or a full submission queue, tells the kernel.
func (b *Backend) Submit(o *op.Op) error {
	if b.closed || b.broken != nil {
		return op.ErrClosed
	}
	if !known(o.Kind) || !b.restrict.permits(o.Kind) {
		return refusal(o.Kind)
	}
	sqe := b.sqe()
	if b.broken != nil {
		return op.ErrClosed
	}
	b.table.Put(o)
	b.submitted++
	b.stats.inFlight.Store(int64(b.table.Len()))
	if sqe == nil {
		b.postpone(o)
	} else {
		b.fill(sqe, o)
	}
	return nil
}

// postpone is apart from Submit, and so are armFrom and refusal, to leave it a small frame: a coroutine that has a stack
// of 2 KiB is here at its deepest.
//
//go:noinline
func (b *Backend) postpone(o *op.Op) { b.waiting = append(b.waiting, o) }

// fill makes the entry for o.
func (b *Backend) fill(sqe *uring.SQE, o *op.Op) {
	prepare(sqe, o)
	if o.Kind.ZeroCopy() && b.zeroCopy.noReport {
		sqe.IoPrio &^= uring.SendZCReportUsage
	}
	if o.Kind == op.Read || o.Kind == op.Write || o.Kind == op.SendZC {
		b.useRegistered(sqe, o)
	}
	sqe.UserData = uint64(o.Ref())
	if o.Kind == op.Recv || o.Kind == op.Accept || o.Kind == op.RecvMsg {
		b.armFrom(o.Ref().Slot())
	}
}

// armFrom notes that the multishot in slot will belong to the thread that makes the next system call.
//
//go:noinline
func (b *Backend) armFrom(slot uint32) {
	for int(slot) >= len(b.armedBy) {
		b.armedBy = append(b.armedBy, 0)
	}
	b.armedBy[slot] = 0
	b.fresh = append(b.fresh, slot)
}

// sqe returns a free entry, handing the queue to the kernel first when it is full. It returns nil when the kernel takes
// nothing (EBUSY, EAGAIN: it is out of memory, or wants its completions reaped, which cannot be done in here), or while
// others wait for an entry. What asked waits for the next turn then; nothing fails of it.
func (b *Backend) sqe() *uring.SQE {
	if len(b.waiting) > 0 {
		return nil
	}
	if s := b.ring.GetSQE(); s != nil {
		return s
	}
	b.enter(0, 0)
	return b.ring.GetSQE()
}

// Cancel asks the kernel for the end of o.
func (b *Backend) Cancel(o *op.Op) {
	if ref := o.Ref(); o.MarkCancelled() {
		b.cancel(ref)
	}
}

// cancel queues a cancel by user data. One that finds no room waits for the next turn, behind the operations that wait.
//
// The kernel may answer that it has not ended o's wait. As a rule o has ended then, and its terminal completion is there or
// about to come. But o may also be about to wait again, and then nobody has told it not to:
//
//   - ENOENT: it is on its way between two attempts, on the thread that submitted it, as a send is whose socket has got room just
//     now.
//   - EALREADY: it is in the hands of a kernel worker. One that waits in a system call for it is interrupted; but one that has begun
//     to prepare the wait of a multishot, which it does where memory for that lacked, has looked for a cancel before, and will not
//     look again. (io_wq_submit_work. The kernel's own IORING_REGISTER_SYNC_CANCEL repeats a cancel on EALREADY, too.)
//
// So missed has it cancelled again, in the next turn or after retryAfter, for as long as it is in flight.
func (b *Backend) cancel(ref op.Ref) {
	if s := b.sqe(); s != nil {
		prepareCancel(s, ref)
		return
	}
	b.late = append(b.late, ref)
}

func prepareCancel(s *uring.SQE, ref op.Ref) {
	s.PrepCancel(uint64(ref), 0)
	if s.UserData = uint64(ref | cancelMark); ref.Kind() == wakeKind {
		s.UserData = uint64(nobody)
	}
}

// missed is told of a cancel that has ended nothing. Operations on files end by themselves, and so does a send whose memory
// is lent: the kernel finds neither, however often it is asked.
func (b *Backend) missed(ref op.Ref) {
	if o := b.table.Get(ref); o != nil && o.Cancelled() && !o.Lent() && !o.Kind.OnFile() {
		b.again = append(b.again, ref)
	}
}

// cancelAgain makes the cancels of again late ones.
func (b *Backend) cancelAgain() {
	b.late = append(b.late, b.again...)
	b.again = b.again[:0]
}

// Wake ends the wait of the Poll under way or of the next one.
func (b *Backend) Wake() {
	if b.woken.Swap(true) {
		return
	}
	b.wakeMu.Lock()
	defer b.wakeMu.Unlock()
	if b.wakeFD >= 0 {
		_, _ = unix.Write(b.wakeFD, one)
	}
}

var one = []byte{1, 0, 0, 0, 0, 0, 0, 0} // in either byte order a counter that is not zero

// Buffers is the pool behind the provided-buffer ring.
func (b *Backend) Buffers() *buffers.Group { return b.group }

// InFlight is the number of operations in flight, the backend's own ones left out.
func (b *Backend) InFlight() int { return int(b.stats.inFlight.Load()) }

// Batches is true: what is submitted in one turn costs one system call.
func (b *Backend) Batches() bool { return true }

// FileFlags is 0: io_uring answers EAGAIN at once to an accept, a connect, or a read of a descriptor with O_NONBLOCK.
func (b *Backend) FileFlags() int { return 0 }

// Stats may be called from any goroutine.
func (b *Backend) Stats() op.Stats {
	s, f := &b.stats, b.fixed.Stats()
	return op.Stats{
		Submitted: s.submitted.Load(), Completed: s.completed.Load(),
		Syscalls: s.syscalls.Load(), Polls: s.polls.Load(),
		NoBuffers: s.noBuffers.Load(), Overflows: s.overflows.Load(), Rearmed: s.rearmed.Load(),
		Fixed: f.Used, FixedBytes: f.Bytes, FixedRefused: f.Refused,
	}
}

// FixedReason says why memory of Config.Fixed is not registered, empty when none was refused. Any goroutine.
func (b *Backend) FixedReason() string { return b.fixed.Reason() }

// closeLimit bounds how long Close waits for the kernel to end what was cancelled.
const closeLimit = 5 * time.Second

// Close cancels and drains, then closes the ring, then gives the memory back.
func (b *Backend) Close() error {
	if b.closed {
		return nil
	}
	b.table.All(func(o *op.Op) {
		// When broken nobody waits for them, and what is still queued names descriptors that may be others' by now.
		if ref := o.Ref(); b.broken == nil && o.MarkCancelled() {
			b.cancel(ref)
		}
	})
	b.closed = true // the completions that follow cannot submit again
	var err error
	for end := time.Now().Add(closeLimit); b.table.Len() > 0 && b.broken == nil; {
		if time.Now().After(end) {
			err = fmt.Errorf("close: %d operations did not end within %v of their cancel", b.table.Len(), closeLimit)
			break
		}
		if _, e := b.Poll(10 * time.Millisecond); e != nil {
			err = e
		}
	}
	return errors.Join(err, b.release())
}

// release closes whatever open has opened, in the reverse order.
func (b *Backend) release() error {
	b.released = true
	var errs []error
	b.unpark()
	if b.bufRing != nil {
		b.group.Detach() // a lease that is released from here on must not touch the ring's memory
		errs = append(errs, b.bufRing.Close())
	}
	if b.ring != nil {
		errs = append(errs, b.ring.Close())
		b.fixed.Closed()
	}
	b.wakeMu.Lock()
	if b.wakeFD >= 0 {
		errs = append(errs, unix.Close(b.wakeFD))
		b.wakeFD = -1
	}
	b.wakeMu.Unlock()
	if b.group != nil {
		errs = append(errs, b.group.Close())
	}
	return errors.Join(errs...)
}
