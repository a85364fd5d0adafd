//go:build linux

package uring

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Each struct here has the layout of its namesake in linux/io_uring.h; a test checks sizes and offsets.

type probeOp struct {
	op    uint8
	resv  uint8
	flags uint16
	resv2 uint32
}

type probeArg struct {
	lastOp uint8
	opsLen uint8
	resv   uint16
	resv2  [3]uint32
	ops    [256]probeOp
}

type restrictionArg struct {
	opcode uint16
	value  uint8
	resv   uint8
	resv2  [3]uint32
}

type rsrcRegister struct {
	nr    uint32
	flags uint32
	resv2 uint64
	data  uint64
	tags  uint64
}

type rsrcUpdate struct {
	offset uint32
	resv   uint32
	data   uint64
}

type rsrcUpdate2 struct {
	offset uint32
	resv   uint32
	data   uint64
	tags   uint64
	nr     uint32
	resv2  uint32
}

type syncCancelArg struct {
	addr    uint64
	fd      int32
	flags   uint32
	timeout Timespec
	opcode  uint8
	pad     [7]uint8
	pad2    [3]uint64
}

type fileRange struct {
	off  uint32
	len  uint32
	resv uint64
}

func (r *Ring) probe() (*OpSet, syscall.Errno) {
	arg := new(probeArg)
	// SAFETY: struct io_uring_probe with room for 256 operations, as many as n says.
	if _, errno := sysRegister(r.fd, registerProbe, unsafe.Pointer(arg), 256); errno != 0 {
		return nil, errno
	}
	set := &OpSet{Last: arg.lastOp}
	for _, o := range arg.ops[:arg.opsLen] {
		set.has[o.op] = o.flags&opSupported != 0
	}
	return set, 0
}

func (r *Ring) registerRestrictions(rs []Restriction) error {
	args := make([]restrictionArg, len(rs))
	for i, x := range rs {
		args[i] = restrictionArg{opcode: x.kind, value: x.value}
	}
	// SAFETY: an array of struct io_uring_restriction.
	if _, errno := sysRegister(r.fd, registerRestrictions, unsafe.Pointer(&args[0]), uint32(len(args))); errno != 0 {
		return registerError("register restrictions", errno)
	}
	return nil
}

// RegisterBuffers pins memory for PrepReadFixed, PrepWriteFixed and PrepSendZCFixed; a buffer's index is its place in
// bufs. The caller keeps it until UnregisterBuffers or Close; memory outside Go's heap is best. It counts against
// RLIMIT_MEMLOCK. At most 16384 buffers of at most 1 GiB.
func (r *Ring) RegisterBuffers(bufs [][]byte) error {
	if len(bufs) == 0 {
		return &Error{Op: "register buffers", Errno: syscall.EINVAL, Cause: "no buffer given"}
	}
	iovs := make([]unix.Iovec, len(bufs))
	for i, b := range bufs {
		iovs[i].Base = unsafe.SliceData(b)
		iovs[i].SetLen(len(b))
	}
	// SAFETY: an array of struct iovec, which the kernel copies.
	_, errno := sysRegister(r.fd, registerBuffers, unsafe.Pointer(&iovs[0]), uint32(len(iovs)))
	runtime.KeepAlive(bufs)
	if errno != 0 {
		return registerError("register buffers", errno)
	}
	return nil
}

// RegisterBuffersSparse registers n empty places for UpdateBuffers. 5.19.
func (r *Ring) RegisterBuffersSparse(n uint32) error {
	arg := rsrcRegister{nr: n, flags: registerRsrcSparse}
	// SAFETY: struct io_uring_rsrc_register; n is its size here.
	if _, errno := sysRegister(r.fd, registerBuffers2, unsafe.Pointer(&arg), uint32(unsafe.Sizeof(arg))); errno != 0 {
		return registerError("register buffers", errno)
	}
	return nil
}

// UpdateBuffers pins bufs at the places from offset on, in the stead of what was there; an empty one only takes that away.
// Operations under way go on with what they have begun with. It returns how many were replaced. The rest is as with
// RegisterBuffers. 5.13.
func (r *Ring) UpdateBuffers(offset uint32, bufs [][]byte) (int, error) {
	if len(bufs) == 0 {
		return 0, nil
	}
	iovs := make([]unix.Iovec, len(bufs))
	for i, b := range bufs {
		if len(b) > 0 {
			iovs[i].Base = unsafe.SliceData(b)
			iovs[i].SetLen(len(b))
		}
	}
	// SAFETY: struct io_uring_rsrc_update2; the array of struct iovec that it points to is kept alive below.
	arg := rsrcUpdate2{offset: offset, data: sliceAddr(iovs), nr: uint32(len(iovs))}
	n, errno := sysRegister(r.fd, registerBuffersUpdate, unsafe.Pointer(&arg), uint32(unsafe.Sizeof(arg)))
	runtime.KeepAlive(iovs)
	runtime.KeepAlive(bufs)
	if errno != 0 {
		return 0, registerError("update buffers", errno)
	}
	return n, nil
}

// RegisterFiles registers descriptors; a slot is the place in fds, -1 leaves it empty. The kernel keeps its own
// reference, so the descriptors may be closed.
func (r *Ring) RegisterFiles(fds []int32) error {
	if len(fds) == 0 {
		return &Error{Op: "register files", Errno: syscall.EINVAL, Cause: "no descriptor given"}
	}
	// SAFETY: an array of 32-bit descriptors, which the kernel reads during the call.
	if _, errno := sysRegister(r.fd, registerFiles, unsafe.Pointer(&fds[0]), uint32(len(fds))); errno != 0 {
		return registerError("register files", errno)
	}
	return nil
}

// RegisterFilesSparse registers n empty slots. 5.19. n counts against RLIMIT_NOFILE.
func (r *Ring) RegisterFilesSparse(n uint32) error {
	arg := rsrcRegister{nr: n, flags: registerRsrcSparse}
	// SAFETY: struct io_uring_rsrc_register; n is its size here.
	if _, errno := sysRegister(r.fd, registerFiles2, unsafe.Pointer(&arg), uint32(unsafe.Sizeof(arg))); errno != 0 {
		return registerError("register files", errno)
	}
	return nil
}

// UpdateFiles replaces slots from offset on, -1 empties one; it returns how many were replaced.
func (r *Ring) UpdateFiles(offset uint32, fds []int32) (int, error) {
	if len(fds) == 0 {
		return 0, nil
	}
	// SAFETY: struct io_uring_files_update; the array it points to is kept alive below.
	arg := rsrcUpdate{offset: offset, data: sliceAddr(fds)}
	n, errno := sysRegister(r.fd, registerFilesUpdate, unsafe.Pointer(&arg), uint32(len(fds)))
	runtime.KeepAlive(fds)
	if errno != 0 {
		return 0, registerError("update files", errno)
	}
	return n, nil
}

// RegisterFileAllocRange confines FileIndexAlloc to n slots from off on. 6.0.
func (r *Ring) RegisterFileAllocRange(off, n uint32) error {
	arg := fileRange{off: off, len: n}
	// SAFETY: struct io_uring_file_index_range.
	if _, errno := sysRegister(r.fd, registerFileAllocRange, unsafe.Pointer(&arg), 0); errno != 0 {
		return registerError("register file range", errno)
	}
	return nil
}

// RegisterEventFD makes the kernel add 1 to an eventfd for each completion.
func (r *Ring) RegisterEventFD(fd int) error {
	v := int32(fd)
	// SAFETY: one 32-bit descriptor.
	if _, errno := sysRegister(r.fd, registerEventFD, unsafe.Pointer(&v), 1); errno != 0 {
		return registerError("register eventfd", errno)
	}
	return nil
}

// RegisterIOWQMaxWorkers limits the io-wq threads of this ring's submitters: bounded ones (regular files) and
// unbounded ones. 0 leaves a limit as it is. It returns the former limits of the calling thread, zeros where this one
// has not submitted anything yet. 5.15.
func (r *Ring) RegisterIOWQMaxWorkers(bounded, unbounded uint32) (wasBounded, wasUnbounded uint32, err error) {
	v := [2]uint32{bounded, unbounded}
	// SAFETY: two 32-bit counts, which the kernel replaces.
	if _, errno := sysRegister(r.fd, registerIOWQMaxWorkers, unsafe.Pointer(&v), 2); errno != 0 {
		return 0, 0, registerError("limit io-wq workers", errno)
	}
	return v[0], v[1], nil
}

// RegisterRingFD spares each enter the look-up of the descriptor. 5.18. The registration belongs to the calling OS
// thread, so the goroutine must be locked to it: from another thread every enter fails with EINVAL or EBADF. A thread
// that ends drops it. A registered ring survives Close until UnregisterRingFD or the thread's end.
func (r *Ring) RegisterRingFD() error {
	if r.enterFlags&enterRegisteredRing != 0 {
		return &Error{Op: "register ring fd", Errno: syscall.EEXIST, Cause: "it is registered already"}
	}
	arg := rsrcUpdate{offset: ^uint32(0), data: uint64(r.fd)}
	// SAFETY: struct io_uring_rsrc_update; the kernel writes the index to offset.
	if _, errno := sysRegister(r.fd, registerRingFDs, unsafe.Pointer(&arg), 1); errno != 0 {
		return registerError("register ring fd", errno)
	}
	r.enterFD = int(arg.offset)
	r.enterFlags |= enterRegisteredRing
	return nil
}

// UnregisterRingFD undoes RegisterRingFD, on the same thread.
func (r *Ring) UnregisterRingFD() error {
	if r.enterFlags&enterRegisteredRing == 0 {
		return nil
	}
	arg := rsrcUpdate{offset: uint32(r.enterFD)}
	// SAFETY: struct io_uring_rsrc_update.
	if _, errno := sysRegister(r.fd, unregisterRingFDs, unsafe.Pointer(&arg), 1); errno != 0 {
		return registerError("unregister ring fd", errno)
	}
	r.enterFD = r.fd
	r.enterFlags &^= enterRegisteredRing
	return nil
}

// SyncCancel cancels as PrepCancel does (by fd with CancelFD) and waits until what it cancelled has ended: up to
// timeout, without limit when it is negative. Their completions are posted as usual. It returns how many matched with
// CancelAll, else 0. Errors: ENOENT (none), ETIME. 6.0.
func (r *Ring) SyncCancel(userData uint64, fd int, flags uint32, timeout time.Duration) (int, error) {
	arg := syncCancelArg{addr: userData, fd: int32(fd), flags: flags, timeout: Timespec{Sec: -1, Nsec: -1}}
	if timeout >= 0 {
		arg.timeout = TimespecOf(timeout)
	}
	// SAFETY: struct io_uring_sync_cancel_reg.
	n, errno := sysRegister(r.fd, registerSyncCancel, unsafe.Pointer(&arg), 1)
	switch errno {
	case 0:
		return n, nil
	case syscall.ENOENT:
		return 0, &Error{Op: "sync cancel", Errno: errno, Cause: "no operation matches"}
	case syscall.ETIME:
		return 0, &Error{Op: "sync cancel", Errno: errno, Cause: "an operation did not end in time"}
	}
	return 0, registerError("sync cancel", errno)
}
