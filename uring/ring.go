//go:build linux

package uring

import (
	"sync/atomic"
)

// Ring is one io_uring instance. The package comment says who may call what.
//
// The kernel shares six words with it. Who writes which:
//
//	SQ head   kernel, as it takes entries (inside an enter only: there is no SQPOLL)
//	SQ tail   owner, in flush
//	SQ flags  kernel
//	CQ head   owner, in PublishHead
//	CQ tail   kernel, at any time
//	overflow  kernel
//
// The fields sqTail, sqHead, cqHead and cqTail are the owner's private view. Invariants, modulo 2^32:
// kernel's SQ head = sqHead outside an enter ≤ kernel's SQ tail ≤ sqTail ≤ sqHead + sqSize, and
// kernel's CQ head ≤ cqHead ≤ cqTail ≤ kernel's CQ tail.
// Entries in [kernel's tail, sqTail) are the caller's to fill, completions in [kernel's CQ head, cqHead) were read and
// not yet given back.
type Ring struct {
	sqes   []SQE
	sqTail uint32
	sqHead uint32
	sqMask uint32
	sqSize uint32

	cqes   []CQE
	cqHead uint32
	cqTail uint32
	cqMask uint32

	kSQHead, kSQTail, kSQFlags    *uint32
	kCQHead, kCQTail, kCQOverflow *uint32
	enterFD                       int
	enterFlags                    uint32
	alwaysGetEvents               bool
	waitArg                       getEventsArg
	waitTime                      Timespec
	fd                            int
	params                        kernelParams
	ringMem, sqeMem               []byte
	bufRings                      []*BufRing
}

// closedWord stands for every shared word of a closed ring: the queues look empty and full at once.
var closedWord uint32

func (r *Ring) init() {
	r.sqMask = r.params.sqEntries - 1
	r.sqSize = r.params.sqEntries
	r.cqMask = r.params.cqEntries - 1
	r.sqHead = atomic.LoadUint32(r.kSQHead)
	r.sqTail = atomic.LoadUint32(r.kSQTail)
	r.cqHead = atomic.LoadUint32(r.kCQHead)
	r.cqTail = r.cqHead
	if r.Features().Has(FeatNoIOWait) {
		// Otherwise an idle server shows as a CPU waiting for a disk.
		r.enterFlags |= enterNoIOWait
	}
	// A deferring ring posts completions only inside an enter that asks for them, and says that there are some only
	// with SetupTaskrunFlag.
	r.alwaysGetEvents = r.Flags()&(SetupDeferTaskrun|SetupTaskrunFlag) == SetupDeferTaskrun
}

// FD is the ring's descriptor, -1 once closed. It is readable (poll, epoll) while completions wait.
func (r *Ring) FD() int { return r.fd }

// Features is the kernel's feature word.
func (r *Ring) Features() Features { return Features(r.params.features) }

// Flags are the setup flags in force.
func (r *Ring) Flags() SetupFlags { return SetupFlags(r.params.flags) }

// SQEntries is the size of the submission queue that the kernel chose.
func (r *Ring) SQEntries() uint32 { return r.params.sqEntries }

// CQEntries is the size of the completion queue that the kernel chose.
func (r *Ring) CQEntries() uint32 { return r.params.cqEntries }

// GetSQE returns the next entry, zeroed, or nil when the queue is full: submit, then ask again. The entry is the
// caller's to fill until the next submission.
func (r *Ring) GetSQE() *SQE {
	if r.sqTail-r.sqHead >= r.sqSize {
		return nil
	}
	s := &r.sqes[r.sqTail&r.sqMask]
	r.sqTail++
	*s = SQE{}
	return s
}

// Queued is the number of entries taken with GetSQE that the kernel has not consumed.
func (r *Ring) Queued() uint32 { return r.sqTail - r.sqHead }

// Next takes the next completion; ok is false when there is none. It looks at the kernel's tail only when the
// completions that it knew of are used up, so a loop until false may meet some that arrive meanwhile. The place is
// given back by PublishHead.
func (r *Ring) Next() (c CQE, ok bool) {
	if r.cqHead == r.cqTail {
		return r.nextNew()
	}
	c = r.cqes[r.cqHead&r.cqMask]
	r.cqHead++
	return c, true
}

// nextNew is Next with a look at the kernel's tail; it stands apart so that Next is inlined. The load pairs with the
// kernel's store-release.
func (r *Ring) nextNew() (c CQE, ok bool) {
	r.cqTail = atomic.LoadUint32(r.kCQTail)
	if r.cqHead == r.cqTail {
		return CQE{}, false
	}
	c = r.cqes[r.cqHead&r.cqMask]
	r.cqHead++
	return c, true
}

// PublishHead gives the places of all completions taken back to the kernel: once per batch.
func (r *Ring) PublishHead() { atomic.StoreUint32(r.kCQHead, r.cqHead) }

// Ready is the number of completions in the queue that PublishHead has not given back. It makes no system call and is
// safe from any goroutine while the ring is open. Beside a PublishHead on another goroutine it may count too many, but
// it is never 0 while a completion waits.
func (r *Ring) Ready() uint32 {
	head := atomic.LoadUint32(r.kCQHead)
	return atomic.LoadUint32(r.kCQTail) - head
}

// Overflowed reports whether the kernel holds completions back because the queue is full. The next SubmitAndReap, or
// SubmitAndWait, brings them once there is room. Any goroutine.
func (r *Ring) Overflowed() bool { return atomic.LoadUint32(r.kSQFlags)&sqCQOverflow != 0 }

// TaskrunPending reports whether an enter is needed to turn finished work into completions; only with
// SetupTaskrunFlag. Any goroutine.
func (r *Ring) TaskrunPending() bool { return atomic.LoadUint32(r.kSQFlags)&sqTaskrun != 0 }

// Dropped counts completions that were lost for good; it stays 0 where FeatNoDrop is set. Any goroutine.
func (r *Ring) Dropped() uint32 { return atomic.LoadUint32(r.kCQOverflow) }

// flush publishes the entries prepared and returns how many wait. The store is the release that lets the kernel see
// their contents.
func (r *Ring) flush() uint32 {
	atomic.StoreUint32(r.kSQTail, r.sqTail)
	return r.sqTail - r.sqHead
}

// needsEnter reports whether the kernel holds completions that only an enter with GETEVENTS brings.
func (r *Ring) needsEnter() bool {
	return r.alwaysGetEvents || atomic.LoadUint32(r.kSQFlags)&(sqCQOverflow|sqTaskrun) != 0
}

// Close releases the ring, its mappings and the memory of its provided buffer rings. Operations in flight are
// cancelled by the kernel some time after Close returns, so drain them first: their buffers are not free until their
// terminal completions were seen. A second Close does nothing. Calls after Close fail with EBADF or return nothing;
// calls during Close are forbidden.
func (r *Ring) Close() error {
	if r.fd < 0 {
		return nil
	}
	// The descriptor goes first: the kernel must not use the memory when it is unmapped.
	errno := closeFD(r.fd)
	r.fd, r.enterFD = -1, -1
	r.enterFlags &^= enterRegisteredRing
	for _, b := range r.bufRings {
		b.unmap()
	}
	r.bufRings = nil
	r.sqes, r.cqes = nil, nil
	r.sqSize, r.sqHead, r.sqTail, r.cqHead, r.cqTail = 0, 0, 0, 0, 0
	for _, w := range []**uint32{&r.kSQHead, &r.kSQTail, &r.kSQFlags, &r.kCQHead, &r.kCQTail, &r.kCQOverflow} {
		*w = &closedWord
	}
	r.munmap()
	if errno != 0 {
		return &Error{Op: "close", Errno: errno, Cause: "the ring's descriptor was closed by someone else"}
	}
	return nil
}
