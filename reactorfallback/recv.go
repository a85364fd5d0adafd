//go:build linux

package reactorfallback

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
)

// recv reads once for the multishot t, the head of f.in.
func (r *Reactor) recv(f *file, t *task) {
	mem, id, ok := r.group.Take()
	if !ok {
		// Asked for the refill first and looked again then: a buffer that came back in between would have told nobody.
		r.group.Starve()
		if mem, id, ok = r.group.Take(); !ok {
			r.end(&f.in, t, 0, syscall.ENOBUFS)
			return
		}
	}
	r.count.Syscalls++
	n, errno := recv(f.fd, mem)
	if errno != 0 || n == 0 {
		r.group.Put(id)
		r.readEnds(f, t, errno)
		return
	}
	if n < len(mem) {
		r.shortRead(f)
	}
	r.tell(t.op, op.Completion{Lease: r.group.Filled(id, n), Result: int32(n), More: true})
}

// recvInto reads once for t, the head of f.in.
func (r *Reactor) recvInto(f *file, t *task) {
	buf := t.op.Buf
	r.count.Syscalls++
	n, errno := recv(f.fd, buf)
	if errno != 0 || n == 0 {
		r.readEnds(f, t, errno)
		return
	}
	if n < len(buf) {
		r.shortRead(f)
	}
	r.end(&f.in, t, int32(n), 0)
}

// readEnds deals with a read that brought nothing.
func (r *Reactor) readEnds(f *file, t *task, errno syscall.Errno) {
	switch errno {
	case syscall.EAGAIN:
		f.drained()
	case syscall.EINTR:
	default: // 0 is end of file
		r.end(&f.in, t, 0, errno)
	}
}
