//go:build linux

package reactorfallback

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

// submitSend tries to send at once, unless others wait before it.
func (r *Reactor) submitSend(f *file, t *task) {
	if f.out.head == nil && r.send(f, t) {
		r.settle(t, t.res, t.errno)
		return
	}
	f.out.push(t)
	r.await(f, t, unix.EPOLLOUT)
}

// send sends once of what is left of t. It reports whether t has a result: the count when all is sent, the error when
// nothing was sent before it, else the count so far. After a partial send the file counts as writable still, since
// only EAGAIN promises an edge.
func (r *Reactor) send(f *file, t *task) bool {
	// A result is an int32, and the kernel moves no more than this at a time either (send(2)).
	buf := t.op.Buf[:min(len(t.op.Buf), math.MaxInt32)]
	r.count.Syscalls++
	n, errno := send(f.fd, buf[t.done:])
	switch errno {
	case 0:
		t.done += n
		f.ready |= unix.EPOLLOUT
		if t.done < len(buf) {
			return false
		}
	case syscall.EINTR:
		return false
	case syscall.EAGAIN:
		f.ready &^= unix.EPOLLOUT
		return false
	}
	t.res, t.errno = int32(t.done), errnoUnless(t.done > 0, errno)
	return true
}
