//go:build linux

package reactorfallback

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// scratch is what one recvmsg into a buffer of the group needs. It lives in the Reactor because on the stack it would
// escape to the heap.
type scratch struct {
	hdr unix.Msghdr
	iov unix.Iovec
}

// recvMsg receives one datagram for the multishot t, the head of f.in, and lays the buffer out as io_uring does.
func (r *Reactor) recvMsg(f *file, t *task) {
	want := t.op.Msg()
	name, control := int(want.Namelen), int(want.Controllen)
	front := op.MsgHeadBytes + name + control
	mem, id, ok := r.group.Take()
	if !ok {
		r.group.Starve()
		if mem, id, ok = r.group.Take(); !ok {
			r.end(&f.in, t, 0, syscall.ENOBUFS)
			return
		}
	}
	if len(mem) < front {
		// As io_uring: no room even for what stands before the payload.
		r.group.Put(id)
		r.end(&f.in, t, 0, syscall.EFAULT)
		return
	}
	s := &r.msg
	s.fill(mem, name, control)
	r.count.Syscalls++
	n, errno := recvmsg(f.fd, &s.hdr, 0)
	used := s.head(n)
	*s = scratch{}
	if errno != 0 {
		r.group.Put(id)
		r.msgEnds(f, t, errno)
		return
	}
	used.Put(mem)
	r.tell(t.op, op.Completion{Lease: r.group.Filled(id, front+n), Result: int32(front + n), More: true})
}

// fill points s into mem.
func (s *scratch) fill(mem []byte, name, control int) {
	rest := mem[op.MsgHeadBytes:]
	if name > 0 {
		s.hdr.Name, s.hdr.Namelen = &rest[0], uint32(name)
	}
	if control > 0 {
		s.hdr.Control = &rest[name]
		s.hdr.SetControllen(control)
	}
	if payload := rest[name+control:]; len(payload) > 0 {
		s.iov.Base = &payload[0]
		s.iov.SetLen(len(payload))
	}
	s.hdr.Iov = &s.iov
	s.hdr.SetIovlen(1)
}

func (s *scratch) head(n int) op.MsgHead {
	return op.MsgHead{
		Name: s.hdr.Namelen, Control: uint32(s.hdr.Controllen), Payload: uint32(max(n, 0)), Flags: uint32(s.hdr.Flags),
	}
}

// recvMsgInto receives once for t, the head of f.in.
func (r *Reactor) recvMsgInto(f *file, t *task) {
	h := t.op.Msg()
	name, control := h.Namelen, h.Controllen
	r.count.Syscalls++
	n, errno := recvmsg(f.fd, h, int(t.op.Events))
	if errno != 0 {
		h.Namelen, h.Controllen = name, control // it will be tried again
		r.msgEnds(f, t, errno)
		return
	}
	r.end(&f.in, t, int32(n), 0)
}

// msgEnds deals with a receive that failed.
func (r *Reactor) msgEnds(f *file, t *task, errno syscall.Errno) {
	switch errno {
	case syscall.EAGAIN:
		f.drained()
	case syscall.EINTR:
	default:
		r.end(&f.in, t, 0, errno)
	}
}
