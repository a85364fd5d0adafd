//go:build linux

package reactorfallback

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below do not wait, because the descriptors are non-blocking, so they spare themselves the scheduler.

func recvmsg(fd int32, h *unix.Msghdr, flags int) (int, syscall.Errno) {
	// SAFETY: h, and what it points to, stays reachable during the call, which writes no more than the lengths in it.
	n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(h)), uintptr(flags|unix.MSG_DONTWAIT))
	return int(n), errno
}

func sendmsg(fd int32, h *unix.Msghdr, flags int) (int, syscall.Errno) {
	// SAFETY: h, and what it points to, stays reachable during the call, which only reads it.
	n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(h)),
		uintptr(flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL))
	return int(n), errno
}
