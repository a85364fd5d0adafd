package load

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These skip the runtime's entry into system calls: the process has one goroutine that matters, and nothing else
// waits for its P. Each is called with a non-empty slice.

func read(fd int32, p []byte) (int, syscall.Errno) {
	// SAFETY: p is live across the call, which writes at most len(p) bytes.
	n, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), e
}

func write(fd int32, p []byte) (int, syscall.Errno) {
	// SAFETY: p is live across the call, which only reads it.
	n, _, e := syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), e
}

// epollWait waits for at most ns nanoseconds (epoll_pwait2(2), Linux 5.11).
func epollWait(ep int, ev []unix.EpollEvent, ns int64) (int, syscall.Errno) {
	ts := unix.NsecToTimespec(ns)
	// SAFETY: ev and ts are live across the call, which writes at most len(ev) events and reads ts. There is no signal
	// mask.
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(ep), uintptr(unsafe.Pointer(&ev[0])),
		uintptr(len(ev)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	return int(n), e
}
