//go:build linux

package ringbackend

import (
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// prepareFile translates the operations on files (op.Kind.OnFile). What the kernel cannot do without waiting it hands to its own worker
// threads, whose number Config.FileThreads bounds.
func prepareFile(s *uring.SQE, o *op.Op) {
	fd := int(o.FD)
	switch o.Kind {
	case op.Read:
		s.PrepRead(fd, o.Buf, o.Off)
	case op.Write:
		s.PrepWrite(fd, o.Buf, o.Off)
	case op.Readv:
		s.PrepReadv(fd, iovecs(o.Buf), o.Off)
	case op.Writev:
		s.PrepWritev(fd, iovecs(o.Buf), o.Off)
	case op.Fsync:
		s.PrepFsync(fd, o.Events)
	}
}
