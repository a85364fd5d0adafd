//go:build linux

package reactorfallback

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bigSend is the size in bytes from which a send is announced to the Go scheduler: copying more than this takes so
// long that holding the P, and with it a garbage collection, would be noticed.
const bigSend = 64 << 10

// The calls below do not wait, because the descriptors are non-blocking, so they spare themselves the scheduler.

func recv(fd int32, p []byte) (int, syscall.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	// SAFETY: p is not empty and stays reachable during the call, which writes no more than len(p) bytes.
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func send(fd int32, p []byte) (int, syscall.Errno) {
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	var n uintptr
	var errno syscall.Errno
	if len(p) >= bigSend {
		// SAFETY: p is not empty and stays reachable during the call, which only reads it.
		n, _, errno = unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0)
	} else {
		// SAFETY: SliceData of an empty slice may dangle, but then the length is 0 and the kernel does not look.
		n, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
	}
	return int(n), errno
}

func connect(fd int32, addr []byte) syscall.Errno {
	// SAFETY: the kernel reads no more than len(addr) bytes; with length 0 it does not look at the address.
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(addr))), uintptr(len(addr)))
	return errno
}

func accept(fd int32) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0, 0)
	return int(n), errno
}

// pollNow returns which of events hold for fd at this moment, as poll(2).
func (r *Reactor) pollNow(fd int32, events uint32) (uint32, syscall.Errno) {
	r.pollfd = unix.PollFd{Fd: fd, Events: int16(events)}
	// A zero timespec, not a nil one: that would wait for ever.
	r.timeout = unix.Timespec{}
	// SAFETY: both structures live in the Reactor, which the caller keeps reachable; the count is 1.
	_, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&r.pollfd)), 1,
		uintptr(unsafe.Pointer(&r.timeout)), 0, 0, 0)
	return uint32(uint16(r.pollfd.Revents)), errno
}

func (r *Reactor) epollCtl(how int, fd int32, events, gen uint32) syscall.Errno {
	r.ctl = unix.EpollEvent{Events: events, Fd: fd, Pad: int32(gen)}
	// SAFETY: the event lives in the Reactor, which the caller keeps reachable; the kernel copies it.
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(r.epfd), uintptr(how), uintptr(fd),
		uintptr(unsafe.Pointer(&r.ctl)), 0, 0)
	return errno
}

// epollNow fills r.events without waiting and without telling the Go scheduler.
func (r *Reactor) epollNow() (int, syscall.Errno) {
	// SAFETY: events has len(r.events) ≥ 1 elements and lives as long as the Reactor.
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.epfd), uintptr(unsafe.Pointer(&r.events[0])),
		uintptr(len(r.events)), 0, 0, 0)
	return int(n), errno
}

// epollHold fills r.events, waiting up to d, without limit when d < 0, and does not tell the Go scheduler: the P stays.
func (r *Reactor) epollHold(d time.Duration) (int, syscall.Errno) {
	ms := -1
	if d >= 0 {
		if !r.noPwait2 {
			r.timeout = unix.NsecToTimespec(int64(d))
			// SAFETY: events and timeout live in the Reactor, which the caller keeps reachable.
			n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(r.epfd), uintptr(unsafe.Pointer(&r.events[0])),
				uintptr(len(r.events)), uintptr(unsafe.Pointer(&r.timeout)), 0, 0)
			// ENOSYS: older than Linux 5.11. EPERM: a seccomp filter that does not know the call.
			if errno != syscall.ENOSYS && errno != syscall.EPERM {
				return int(n), errno
			}
			r.noPwait2 = true
		}
		ms = int((d + time.Millisecond - 1) / time.Millisecond)
	}
	// SAFETY: as above; the timeout is a number.
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.epfd), uintptr(unsafe.Pointer(&r.events[0])),
		uintptr(len(r.events)), uintptr(ms), 0, 0)
	return int(n), errno
}

// setTick has the timerfd fire once, after IdleAfter. Package unix has no form of it that does not allocate.
func (r *Reactor) setTick() syscall.Errno {
	r.tick = unix.ItimerSpec{Value: unix.NsecToTimespec(int64(r.cfg.IdleAfter))}
	// SAFETY: tick lives in the Reactor, which the caller keeps reachable; the kernel copies it.
	_, _, errno := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(r.tickFD), 0, uintptr(unsafe.Pointer(&r.tick)), 0, 0, 0)
	return errno
}

// vectors is preadv2(2) or pwritev2(2); p is an array of struct iovec. Off is split into halves as the kernel joins them
// on systems of 32 bits; on those of 64 the first half is the whole.
func vectors(nr uintptr, fd int, p []byte, off int64) (int, syscall.Errno) {
	n := uintptr(len(p)) / unsafe.Sizeof(unix.Iovec{})
	// SAFETY: the pointer is converted in the call, and the operation that p belongs to is kept reachable by the table.
	r, _, errno := unix.Syscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), n, uintptr(off),
		uintptr(off>>32), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}
