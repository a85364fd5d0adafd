//go:build linux

package proactor

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// none stands for the address of an empty slice, as the kernel wants a valid one.
var none byte

// transfer makes one sendto or recvfrom without an address. These system calls do not wait (MSG_DONTWAIT), so short
// ones go without the scheduler's bookkeeping.
func transfer(nr uintptr, fd int, p []byte, flags int) (int, syscall.Errno) {
	b := &none
	if len(p) > 0 {
		b = &p[0]
	}
	errno := syscall.EINTR
	var n uintptr
	// SAFETY: b points to len(p) bytes of p, which the call keeps alive; the conversions are in the call's
	// own argument list.
	for errno == syscall.EINTR {
		if len(p) <= smallTransfer {
			n, _, errno = syscall.RawSyscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(b)), uintptr(len(p)), uintptr(flags), 0, 0)
			continue
		}
		n, _, errno = syscall.Syscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(b)), uintptr(len(p)), uintptr(flags), 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// lingerSeconds is what SO_LINGER says, 0 when it is off. Package unix has no call for it that reads both fields.
func lingerSeconds(fd int) int32 {
	var l unix.Linger
	n := uint32(unsafe.Sizeof(l))
	// SAFETY: the kernel writes at most n bytes to l, and the length to n; both outlive the call. It does not wait.
	_, _, errno := syscall.RawSyscall6(sysGetsockopt, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER,
		uintptr(unsafe.Pointer(&l)), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 || l.Onoff == 0 {
		return 0
	}
	return l.Linger
}
