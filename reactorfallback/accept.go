//go:build linux

package reactorfallback

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
)

// accept takes one connection for the multishot t, the head of f.in.
func (r *Reactor) accept(f *file, t *task) {
	r.count.Syscalls++
	fd, errno := accept(f.fd)
	switch errno {
	case 0:
		r.tell(t.op, op.Completion{Result: int32(fd), More: true})
	case syscall.EAGAIN:
		f.drained()
	case syscall.EINTR, syscall.ECONNABORTED:
		// The peer has gone before we came; the next in the queue may be fine.
	default:
		r.end(&f.in, t, 0, errno)
	}
}
