//go:build linux

package uring

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmap maps the rings and the entries and finds the shared words.
func (r *Ring) mmap() error {
	p := &r.params
	if !r.Features().Has(FeatSingleMmap) {
		return &Error{Op: "setup", Errno: syscall.ENOTSUP, Cause: "the kernel maps the two queues apart (older than 5.4)",
			Remedy: "use the epoll backend or a newer kernel"}
	}
	size := uintptr(p.cqOff.cqes) + uintptr(p.cqEntries)*unsafe.Sizeof(CQE{})
	if r.Flags()&SetupNoSQArray == 0 {
		size = max(size, uintptr(p.sqOff.array)+uintptr(p.sqEntries)*4)
	}
	mem, err := mapShared(r.fd, offSQRing, size)
	if err != nil {
		return err
	}
	sqeMem, err := mapShared(r.fd, offSQEs, uintptr(p.sqEntries)*unsafe.Sizeof(SQE{}))
	if err != nil {
		_ = unix.Munmap(mem)
		return err
	}
	r.ringMem, r.sqeMem = mem, sqeMem
	r.kSQHead, r.kSQTail = wordAt(mem, p.sqOff.head), wordAt(mem, p.sqOff.tail)
	r.kSQFlags = wordAt(mem, p.sqOff.flags)
	r.kCQHead, r.kCQTail = wordAt(mem, p.cqOff.head), wordAt(mem, p.cqOff.tail)
	r.kCQOverflow = wordAt(mem, p.cqOff.overflow)
	// SAFETY: the mapping has room for that many entries and is page-aligned; CQEs lie 8-byte aligned in it.
	r.sqes = unsafe.Slice((*SQE)(unsafe.Pointer(&sqeMem[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*CQE)(unsafe.Pointer(&mem[p.cqOff.cqes])), p.cqEntries)
	if r.Flags()&SetupNoSQArray == 0 {
		// Entry i is always at place i, so the indirection is written once.
		array := unsafe.Slice(wordAt(mem, p.sqOff.array), p.sqEntries)
		for i := range array {
			array[i] = uint32(i)
		}
	}
	return nil
}

func (r *Ring) munmap() {
	_ = unix.Munmap(r.ringMem)
	_ = unix.Munmap(r.sqeMem)
	r.ringMem, r.sqeMem = nil, nil
}

func mapShared(fd int, offset int64, size uintptr) ([]byte, error) {
	return mapMemory(fd, offset, size, unix.MAP_SHARED|unix.MAP_POPULATE)
}

// mapAnonymous maps size bytes of zeroed, page-aligned memory.
func mapAnonymous(size uintptr) ([]byte, error) {
	return mapMemory(-1, 0, size, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
}

// mapMemory maps memory that children do not inherit: a forked child must neither reach a ring that is not its own
// nor make pages that the kernel has pinned copy-on-write.
func mapMemory(fd int, offset int64, size uintptr, flags int) ([]byte, error) {
	mem, err := unix.Mmap(fd, offset, int(size), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, &Error{Op: "mmap", Errno: errnoOf(err), Cause: "mapping ring memory failed",
			Remedy: "use smaller rings or raise the memory limits"}
	}
	if err := unix.Madvise(mem, unix.MADV_DONTFORK); err != nil {
		_ = unix.Munmap(mem)
		return nil, &Error{Op: "madvise", Errno: errnoOf(err), Cause: "ring memory could not be kept from child processes"}
	}
	return mem, nil
}

func wordAt(mem []byte, off uint32) *uint32 {
	// SAFETY: the kernel gave the offset, 4-byte aligned and inside the mapping; the index is bounds-checked.
	return (*uint32)(unsafe.Pointer(&mem[off]))
}

func errnoOf(err error) syscall.Errno {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	return syscall.EIO
}
