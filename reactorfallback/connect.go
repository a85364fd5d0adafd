//go:build linux

package reactorfallback

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// submitConnect starts to connect. The first call's result is final unless it says that the kernel goes on by itself.
func (r *Reactor) submitConnect(f *file, t *task) {
	if f.out.head == nil {
		r.count.Syscalls++
		// EINTR goes on as well, see connect(2).
		if errno := connect(f.fd, t.op.Buf); errno != syscall.EINPROGRESS && errno != syscall.EINTR {
			r.settle(t, 0, errno)
			return
		}
	}
	f.out.push(t)
	r.await(f, t, unix.EPOLLOUT)
}

// connect asks how the attempt went by calling connect again, which answers in one call what SO_ERROR and
// getpeername answer in two: EALREADY when the edge meant something else.
func (r *Reactor) connect(f *file, t *task) bool {
	r.count.Syscalls++
	errno := connect(f.fd, t.op.Buf)
	switch errno {
	case syscall.EALREADY, syscall.EINPROGRESS, syscall.EINTR, syscall.EAGAIN:
		f.ready &^= unix.EPOLLOUT
		return false
	case syscall.EISCONN:
		errno = 0
	}
	t.res, t.errno = 0, errno
	return true
}
