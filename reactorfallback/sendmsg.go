//go:build linux

package reactorfallback

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// submitSendMsg tries to send at once, unless others wait before it.
func (r *Reactor) submitSendMsg(f *file, t *task) {
	if f.out.head == nil && r.sendMsg(f, t) {
		r.settle(t, t.res, t.errno)
		return
	}
	f.out.push(t)
	r.await(f, t, unix.EPOLLOUT)
}

// sendMsg sends once. It reports whether t has a result.
func (r *Reactor) sendMsg(f *file, t *task) bool {
	r.count.Syscalls++
	n, errno := sendmsg(f.fd, t.op.Msg(), int(t.op.Events))
	switch errno {
	case 0:
		f.ready |= unix.EPOLLOUT
	case syscall.EINTR:
		return false
	case syscall.EAGAIN:
		f.ready &^= unix.EPOLLOUT
		return false
	}
	t.res, t.errno = int32(max(n, 0)), errno
	return true
}
