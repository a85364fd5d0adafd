//go:build linux

package simkernel

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

// BackendConfig configures a Backend. The zero value works.
type BackendConfig struct {
	// Buffers sizes the receive buffers.
	Buffers buffers.GroupConfig
	// CQEntries is the length of the completion queue; what does not fit waits, and ends multishots. Default 4096.
	CQEntries int
	// Reactor has it behave like the epoll backend: no provided buffers, no batches, descriptors in non-blocking mode.
	// Default: like io_uring.
	Reactor bool
}

const defaultCQEntries = 4096

// Backend is an op.Backend on a Kernel; op.Backend says who may call what. The fields up to inFlight are the worker's,
// those of the last group are guarded by the kernel's mu.
type Backend struct {
	k      *Kernel
	cfg    BackendConfig
	group  *buffers.Group
	table  op.Table
	fresh  []*request // submitted, not seen by the kernel
	closed bool
	broken error

	inFlight                                        atomic.Int64
	submitted, completed, polls, starved, overflows atomic.Uint64
	wake                                            chan struct{}

	requests []*request
	loans    []*loan
	held     []*file // of operations that have ended; their references are given back later
	cq       []cqe
	overflow []cqe // did not fit
	ghosts   []op.Ref
	ring     *ring // nil for a reactor
}

// NewBackend makes a Backend on k.
func (k *Kernel) NewBackend(c BackendConfig) (*Backend, error) {
	if c.CQEntries == 0 {
		c.CQEntries = defaultCQEntries
	}
	g, err := buffers.NewGroup(c.Buffers)
	if err != nil {
		return nil, err
	}
	b := &Backend{k: k, cfg: c, group: g, wake: make(chan struct{}, 1)}
	if !c.Reactor {
		b.ring = &ring{k: k, watch: k.cfg.Watch}
		g.Attach(b.ring)
	}
	b.lock()
	defer k.mu.Unlock()
	k.backends = append(k.backends, b)
	return b, nil
}

// Submit accepts o; the kernel sees it in the next Poll.
func (b *Backend) Submit(o *op.Op) error {
	if b.closed || b.broken != nil {
		return op.ErrClosed
	}
	switch o.Kind {
	case op.Nop, op.Accept, op.Connect, op.Recv, op.RecvInto, op.Send, op.Poll,
		op.Read, op.Write, op.Readv, op.Writev, op.Fsync,
		op.RecvMsg, op.RecvMsgInto, op.SendMsg, op.SendZC, op.SendMsgZC:
	default:
		return fmt.Errorf("simkernel: operation of kind %d (%v): %w", o.Kind, o.Kind, syscall.EINVAL)
	}
	r := &request{b: b, ref: b.table.Put(o), kind: o.Kind, fd: int(o.FD), buf: o.Buf, events: o.Events, off: o.Off}
	if onMessages(o.Kind) || o.Kind == op.SendMsgZC {
		r.msg = o.Msg()
	}
	if o.Kind.ZeroCopy() {
		b.borrow(r)
	}
	b.fresh = append(b.fresh, r)
	b.submitted.Add(1)
	b.inFlight.Store(int64(b.table.Len()))
	return nil
}

// Cancel asks for the end of o.
func (b *Backend) Cancel(o *op.Op) {
	ref := o.Ref()
	if !o.MarkCancelled() {
		return
	}
	for _, r := range b.fresh {
		if r.ref == ref {
			r.cancelled = true
			return
		}
	}
	b.k.mu.Lock()
	defer b.k.mu.Unlock()
	for _, r := range b.requests {
		if r.ref == ref {
			r.cancelled = true
			return
		}
	}
	b.k.tally.add("cancel finds nothing (ENOENT)")
}

// Wake ends the Poll under way or the next one. Any goroutine.
func (b *Backend) Wake() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *Backend) awoken() bool {
	select {
	case <-b.wake:
		return true
	default:
		return false
	}
}

var (
	errBroken = errors.New("simkernel: the backend broke, as it was told to")
	// ErrEndless is what Poll fails with when more has happened than Config.Limit allows.
	ErrEndless = errors.New("simkernel: more has happened than Config.Limit allows")
)

// Poll has things happen and delivers what has completed.
func (b *Backend) Poll(wait time.Duration) (int, error) {
	if b.broken != nil {
		return 0, b.broken
	}
	if b.closed {
		return 0, op.ErrClosed
	}
	var end time.Time
	if wait > 0 {
		end = time.Now().Add(wait)
	}
	if b.lock(); b.k.fault("backend breaks", b.k.cfg.Faults.Break) {
		b.breaks(errBroken)
		b.k.mu.Unlock()
		return 0, b.broken
	}
	for {
		b.start()
		b.happen()
		if l := b.k.cfg.Limit; l > 0 && b.k.happened > l {
			b.breaks(ErrEndless)
		}
		b.k.mu.Unlock()
		n := b.deliver()
		switch {
		case b.broken != nil:
			return n, b.broken
		case n > 0 || wait == 0:
			b.awoken()
			return n, nil
		case b.awoken():
			return 0, nil
		}
		b.lock()
		if wait > 0 && !time.Now().Before(end) {
			b.k.mu.Unlock()
			return 0, nil
		}
		if b.k.fault("wait ends for nothing", b.k.cfg.Faults.Stir) {
			b.k.mu.Unlock()
			return 0, nil
		}
		if len(b.cq)+len(b.overflow) > 0 || b.k.act(b, true) {
			continue
		}
		b.k.mu.Unlock()
		if b.rest(wait < 0, end) {
			return 0, nil
		}
		b.lock()
	}
}

func (b *Backend) lock() { b.k.mu.Lock() }

// breaks takes b out of use. What is in flight keeps its files until Close, and from here on nobody is to be blamed for
// closing their descriptors. mu is held.
func (b *Backend) breaks(err error) {
	b.broken = err
	b.letGo()
	for _, r := range b.requests {
		r.unwatch()
	}
}

// rest waits while nothing can happen. It reports whether the Poll is over.
func (b *Backend) rest(unlimited bool, end time.Time) bool {
	if rest := b.k.cfg.Rest; rest != nil {
		rest(b, unlimited, end)
		return b.awoken() || !unlimited && !time.Now().Before(end)
	}
	var next time.Time // when something can happen although nobody wakes the worker
	if idle := b.k.cfg.Idle; idle != nil {
		again, at := idle(unlimited)
		if again {
			return b.awoken()
		}
		next = at
	}
	if unlimited && next.IsZero() {
		<-b.wake
		return true
	}
	over := next.IsZero() || !unlimited && end.Before(next)
	if over {
		next = end
	}
	t := time.NewTimer(time.Until(next))
	defer t.Stop()
	select {
	case <-b.wake:
		return true
	case <-t.C:
		return over
	}
}

// Can reports whether a Poll of b that waits has something to go on for: it was woken, or something can happen to its
// operations.
func (b *Backend) Can() bool {
	b.lock()
	defer b.k.mu.Unlock()
	return len(b.wake)+len(b.cq)+len(b.overflow)+len(b.held) > 0 ||
		slices.ContainsFunc(b.requests, (*request).can) || slices.ContainsFunc(b.loans, (*loan).due)
}

// happenings are how many things may happen between two looks at the completion queue.
var happenings = [...]int{64, 0, 1, 2, 3, 5, 8, 16}

// happen has some things happen. mu is held.
func (b *Backend) happen() {
	k := b.k
	for n := happenings[k.choose(len(happenings))]; n > 0 && k.act(b, true); n-- {
		if k.fault("late completion of an old operation", k.cfg.Faults.Stale) {
			b.haunt()
		}
	}
}

// Close cancels what is in flight and delivers its ends.
func (b *Backend) Close() error {
	if b.closed {
		return nil
	}
	b.table.All(func(o *op.Op) { o.MarkCancelled() })
	b.closed = true
	b.lock()
	b.start()
	for len(b.requests) > 0 {
		b.requests[0].finish(b.requests[0].partial(syscall.ECANCELED))
	}
	b.letGo()
	b.settleLoans()
	b.k.mu.Unlock()
	for b.broken == nil && len(b.cq)+len(b.overflow) > 0 {
		b.deliver()
	}
	for _, e := range slices.Concat(b.cq, b.overflow) {
		b.unclaimed(e) // broken: nobody is told
	}
	if b.ring != nil {
		b.group.Detach()
		b.ring.close()
	}
	return b.group.Close()
}

// Buffers is the pool that receives fill.
func (b *Backend) Buffers() *buffers.Group { return b.group }

// InFlight is the number of operations accepted and not yet ended.
func (b *Backend) InFlight() int { return int(b.inFlight.Load()) }

// Batches is true for what behaves like io_uring.
func (b *Backend) Batches() bool { return !b.cfg.Reactor }

// FileFlags is O_NONBLOCK for what behaves like epoll.
func (b *Backend) FileFlags() int {
	if b.cfg.Reactor {
		return unix.O_NONBLOCK
	}
	return 0
}

// Stats may be called from any goroutine.
func (b *Backend) Stats() op.Stats {
	return op.Stats{
		Submitted: b.submitted.Load(), Completed: b.completed.Load(), Syscalls: b.polls.Load(), Polls: b.polls.Load(),
		NoBuffers: b.starved.Load(), Overflows: b.overflows.Load(),
	}
}

// Forget checks what its caller promises: that no operation uses the descriptor.
func (b *Backend) Forget(fd int) {
	b.lock()
	defer b.k.mu.Unlock()
	for _, r := range b.requests {
		if r.fd == fd && b.broken == nil {
			b.k.violate("descriptor %d is to be forgotten while a %v uses it", fd, r.kind)
		}
	}
}

var (
	_ op.Backend   = (*Backend)(nil)
	_ op.Forgetter = (*Backend)(nil)
)
