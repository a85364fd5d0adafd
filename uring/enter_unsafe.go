//go:build linux

package uring

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// getEventsArg is struct io_uring_getevents_arg.
type getEventsArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWaitUsec uint32
	ts          uint64
}

// SubmitAndWait hands everything queued to the kernel and, with waitNr > 0, waits until that many completions are
// in the queue: one io_uring_enter(2). timeout < 0 waits without limit; 0 or more needs FeatExtArg (ENOTSUP without
// it, and nothing is submitted). With waitNr == 0 timeout is ignored, the call does not block, and it makes no system
// call at all when nothing is queued and the kernel holds nothing back.
//
// submitted is how many entries the kernel took; the others stay queued. When it is not all of them the kernel does
// not wait. errno is set only when the kernel took none: ETIME (time is up), EINTR (a signal), EAGAIN and EBUSY (out
// of resources for now, reap and retry), EEXIST (not the thread that owns the ring), EBADFD (ring still disabled),
// EBADF (closed). When entries were taken the end of the wait is not told; look at Ready.
func (r *Ring) SubmitAndWait(waitNr uint32, timeout time.Duration) (submitted uint32, errno syscall.Errno) {
	if waitNr == 0 {
		return r.submit()
	}
	return r.enterWait(waitNr, timeout, false)
}

// SubmitAndHold is SubmitAndWait without telling the Go scheduler: the caller keeps its P while it waits, so nothing
// else runs on that P unless the runtime interrupts the wait by a signal (EINTR). For waits of some microseconds.
func (r *Ring) SubmitAndHold(waitNr uint32, timeout time.Duration) (submitted uint32, errno syscall.Errno) {
	if waitNr == 0 {
		return r.submit()
	}
	return r.enterWait(waitNr, timeout, true)
}

// submit hands over what is queued, and enters the kernel only if there is a reason to.
func (r *Ring) submit() (uint32, syscall.Errno) {
	n := r.flush()
	if r.needsEnter() {
		return r.enterNow(n, enterGetEvents)
	}
	if n == 0 {
		return 0, 0
	}
	return r.enterNow(n, 0)
}

func (r *Ring) enterWait(waitNr uint32, timeout time.Duration, hold bool) (uint32, syscall.Errno) {
	n := r.flush()
	flags := r.enterFlags | enterGetEvents
	var arg unsafe.Pointer
	var size uintptr
	if timeout >= 0 {
		if !r.Features().Has(FeatExtArg) {
			return 0, syscall.ENOTSUP
		}
		r.waitTime = TimespecOf(timeout)
		// SAFETY: the ring is on the heap (Setup returns its address), which does not move, and alive through the call.
		r.waitArg.ts = uint64(uintptr(unsafe.Pointer(&r.waitTime)))
		arg = unsafe.Pointer(&r.waitArg)
		size = unsafe.Sizeof(r.waitArg)
		flags |= enterExtArg
	}
	var v uintptr
	var errno syscall.Errno
	// SAFETY: arg is nil or points into the ring; the conversion stands in the call's argument list.
	if hold {
		v, _, errno = syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFD), uintptr(n), uintptr(waitNr),
			uintptr(flags), uintptr(arg), size)
	} else {
		v, _, errno = syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFD), uintptr(n), uintptr(waitNr),
			uintptr(flags), uintptr(arg), size)
	}
	return r.entered(v, errno)
}

// SubmitAndReap hands everything queued to the kernel and makes it post what it holds back: it runs task work and
// flushes an overflow. It never waits and always makes one system call. Results are as for SubmitAndWait.
func (r *Ring) SubmitAndReap() (submitted uint32, errno syscall.Errno) {
	return r.enterNow(r.flush(), enterGetEvents)
}

// enterNow enters without waiting, so the Go scheduler need not be told.
func (r *Ring) enterNow(n uint32, flags uint32) (uint32, syscall.Errno) {
	v, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFD), uintptr(n), 0,
		uintptr(flags|r.enterFlags), 0, 0)
	return r.entered(v, errno)
}

// entered learns what the kernel took. The head says it even where the count does not: without SetupSubmitAll an
// entry that is wrong is consumed and ends the batch.
func (r *Ring) entered(v uintptr, errno syscall.Errno) (uint32, syscall.Errno) {
	r.sqHead = atomic.LoadUint32(r.kSQHead)
	if errno != 0 {
		return 0, errno
	}
	return uint32(v), 0
}
