//go:build linux

package dgram

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Msg is struct mmsghdr: a message, and after a call how many bytes of it were moved.
type Msg struct {
	Hdr unix.Msghdr
	N   uint32
}

// Send sends ms in order without waiting, and returns how many the kernel took. When that is none it says why; an error
// behind the first is for the next call to find.
func Send(fd int, ms []Msg, flags int) (int, syscall.Errno) {
	return many(unix.SYS_SENDMMSG, fd, ms, flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// Recv receives into ms without waiting, and returns how many came. When that is none it says why.
func Recv(fd int, ms []Msg, flags int) (int, syscall.Errno) {
	return many(unix.SYS_RECVMMSG, fd, ms, flags|unix.MSG_DONTWAIT)
}

func many(nr uintptr, fd int, ms []Msg, flags int) (int, syscall.Errno) {
	if len(ms) == 0 {
		return 0, 0
	}
	for {
		// SAFETY: ms has len(ms) elements of the kernel's layout (a test holds the size), and what they point to stays
		// reachable through them during the call. The last argument is no time limit.
		n, _, errno := unix.RawSyscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(&ms[0])), uintptr(len(ms)), uintptr(flags), 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// RecvOne is recvmsg(2) without waiting.
func RecvOne(fd int, h *unix.Msghdr, flags int) (int, syscall.Errno) {
	for {
		// SAFETY: h, and what it points to, stays reachable during the call, which writes no more than the lengths in it.
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(h)),
			uintptr(flags|unix.MSG_DONTWAIT))
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
