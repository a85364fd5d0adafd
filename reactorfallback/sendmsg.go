//go:build linux

package reactorfallback

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/op"
)

// Messages that were submitted in one turn go out with one system call for each file, at the beginning of the next Poll:
// with a system call each, a server of datagrams would pay more than one on the runtime's poller.

// sendBatch is how many messages one system call sends at most.
const sendBatch = 64

// submitSendMsg leaves t to the next Poll.
func (r *Reactor) submitSendMsg(f *file, t *task) {
	f.out.push(t)
	if !f.unsent {
		f.unsent = true
		r.unsent = append(r.unsent, f)
	}
}

// sendSubmitted sends what was submitted since the last Poll.
func (r *Reactor) sendSubmitted() {
	for i, f := range r.unsent {
		r.unsent[i], f.unsent = nil, false
		if f.out.head != nil {
			r.sendMsgs(f)
		}
	}
	r.unsent = r.unsent[:0]
}

// isMessage reports whether t sends a message. One without a copy is copied here.
func isMessage(t *task) bool { return t.op.Kind == op.SendMsg || t.op.Kind == op.SendMsgZC }

// sendMsgs sends from the head of f.out until it is empty, the socket has no room, or something else stands there.
func (r *Reactor) sendMsgs(f *file) {
	for t := f.out.head; t != nil; t = f.out.head {
		n := 0
		for ; t != nil && n < sendBatch && isMessage(t) && t.op.Events == f.out.head.op.Events; t = t.next {
			r.outgoing[n] = dgram.Msg{Hdr: *t.op.Msg()}
			n++
		}
		if n == 0 {
			r.await(f, f.out.head, unix.EPOLLOUT)
			return
		}
		r.count.Syscalls++
		sent, errno := dgram.Send(int(f.fd), r.outgoing[:n], int(f.out.head.op.Events))
		for i := range sent {
			r.settle(f.out.pop(), int32(r.outgoing[i].N), 0)
		}
		clear(r.outgoing[:n])
		switch errno {
		case 0:
		case syscall.EAGAIN:
			f.ready &^= unix.EPOLLOUT
			head := f.out.head
			if r.await(f, head, unix.EPOLLOUT); f.out.head == head {
				return
			}
			// It cannot be watched: the next one has nobody to wait for either.
		default:
			r.settle(f.out.pop(), 0, errno)
		}
	}
}

// sendMsg sends once, when the socket has room again. It reports whether t has a result.
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
