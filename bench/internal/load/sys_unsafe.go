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

func epollWait(ep int, ev []unix.EpollEvent, ms int) (int, syscall.Errno) {
	// SAFETY: ev is live across the call, which writes at most len(ev) events. epoll_pwait takes no signal mask here.
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&ev[0])),
		uintptr(len(ev)), uintptr(ms), 0, 0)
	return int(n), e
}
