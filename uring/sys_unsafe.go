//go:build linux

package uring

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func sysSetup(entries uint32, p *kernelParams) (int, syscall.Errno) {
	// SAFETY: p has the layout of struct io_uring_params (tested) and lives through the call.
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), 0
}

// sysRegister is io_uring_register(2). arg must have the layout that op wants.
func sysRegister(fd int, op uint32, arg unsafe.Pointer, n uint32) (int, syscall.Errno) {
	if fd < 0 && op != registerSendMsgRing {
		// A closed ring. The kernel would take -1 for "no ring in particular".
		return 0, syscall.EBADF
	}
	// SAFETY: the conversion stands in the call's argument list, so arg is kept alive and in place.
	v, _, errno := syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), uintptr(op), uintptr(arg), uintptr(n), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(v), 0
}

func closeFD(fd int) syscall.Errno {
	_, _, errno := syscall.Syscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	return errno
}
