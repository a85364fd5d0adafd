//go:build linux

package reactorfallback

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/op"
)

// recvBatch is how many messages one system call receives at most.
const recvBatch = 16

// scratch is what the receive of one message into a buffer of the group needs. It lives in the Reactor because on the stack
// it would escape to the heap.
type scratch struct {
	iov unix.Iovec
	mem []byte
	id  uint16
}

// recvMsg receives messages for the multishot t, the head of f.in, and lays the buffers out as io_uring does. It asks for
// more at a time while as many come as it asked for, and for fewer when less than half do.
func (r *Reactor) recvMsg(f *file, t *task) {
	want := t.op.Msg()
	name, control := int(want.Namelen), int(want.Controllen)
	front := op.MsgHeadBytes + name + control
	if r.group.Size() < front {
		// As io_uring: no room even for what stands before the payload.
		r.end(&f.in, t, 0, syscall.EFAULT)
		return
	}
	n := r.takeBuffers(min(int(f.burst)+1, r.share), name, control)
	if n == 0 {
		r.end(&f.in, t, 0, syscall.ENOBUFS)
		return
	}
	r.count.Syscalls++
	came, errno := dgram.Recv(int(f.fd), r.headers[:n], 0)
	for i := came; i < n; i++ {
		r.group.Put(r.incoming[i].id)
	}
	if errno != 0 {
		r.forgetMsgs(0, n)
		r.msgEnds(f, t, errno)
		return
	}
	switch {
	case came == n:
		f.burst = uint8(min(2*n, recvBatch) - 1)
	case 2*came < n:
		f.burst = uint8(came)
	}
	r.share -= came - 1 // serve takes one off
	r.tellMsgs(t.op, came, front)
	r.forgetMsgs(came, n)
}

// takeBuffers points up to n headers to buffers of the group, and returns how many there were.
func (r *Reactor) takeBuffers(n, name, control int) int {
	for i := range n {
		mem, id, ok := r.group.Take()
		if !ok && i == 0 {
			// Asked for the refill first and looked again then: a buffer that came back in between would have told nobody.
			r.group.Starve()
			mem, id, ok = r.group.Take()
		}
		if !ok {
			return i
		}
		s := &r.incoming[i]
		s.mem, s.id = mem, id
		s.fill(&r.headers[i].Hdr, name, control)
	}
	return n
}

// tellMsgs delivers the first n messages. A completer may cancel o meanwhile: what had come before is still its, as the
// terminal completion waits for its turn.
func (r *Reactor) tellMsgs(o *op.Op, n, front int) {
	next := 0
	defer func() {
		// A completer has panicked: what stands behind its message is lost, its memory is not.
		for i := next; i < n; i++ {
			r.group.Put(r.incoming[i].id)
		}
		r.forgetMsgs(0, n)
	}()
	for i := range n {
		next = i + 1
		s, h := r.incoming[i], &r.headers[i]
		op.MsgHead{
			Name: h.Hdr.Namelen, Control: uint32(h.Hdr.Controllen), Payload: h.N, Flags: uint32(h.Hdr.Flags),
		}.Put(s.mem)
		size := front + int(h.N)
		r.tell(o, op.Completion{Lease: r.group.Filled(s.id, size), Result: int32(size), More: true})
	}
}

func (r *Reactor) forgetMsgs(from, to int) {
	clear(r.incoming[from:to])
	clear(r.headers[from:to])
}

// fill points h to the parts of s.mem.
func (s *scratch) fill(h *unix.Msghdr, name, control int) {
	rest := s.mem[op.MsgHeadBytes:]
	if name > 0 {
		h.Name, h.Namelen = &rest[0], uint32(name)
	}
	if control > 0 {
		h.Control = &rest[name]
		h.SetControllen(control)
	}
	if payload := rest[name+control:]; len(payload) > 0 {
		s.iov.Base = &payload[0]
		s.iov.SetLen(len(payload))
	}
	h.Iov = &s.iov
	h.SetIovlen(1)
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
