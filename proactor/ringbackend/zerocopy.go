//go:build linux

package ringbackend

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// zeroCopy is what the backend knows of sends without a copy. The kernel answers each with its result, and then, if that
// had More, also when it failed, with a notification: only this ends its use of the memory. A failure is kept back until then,
// as an error is the end of an operation to its owner.
type zeroCopy struct {
	failed   map[op.Ref]syscall.Errno
	noReport bool // the kernel does not tell whether it copied (before 6.2)
}

// deliverZC is deliver for a SendZC and a SendMsgZC.
func (b *Backend) deliverZC(o *op.Op, cqe *uring.CQE) int {
	z, c, ref := &b.zeroCopy, &b.completion, o.Ref()
	switch {
	case cqe.Notif():
		*c = op.Completion{Errno: z.failed[ref]}
		delete(z.failed, ref)
		if uint32(cqe.Res)&uring.SendZCCopied != 0 {
			c.Result = 1
		}
	case c.Errno != 0 && c.More:
		if z.failed == nil {
			z.failed = map[op.Ref]syscall.Errno{}
		}
		z.failed[ref] = c.Errno
		o.MarkLent()
		return 0
	case c.Errno == syscall.EINVAL && !z.noReport:
		z.noReport = true
		c.Errno = syscall.EINTR // once more, without asking
	}
	if c.More {
		o.MarkLent()
	} else {
		b.table.Drop(o)
	}
	o.Done.Complete(o, c)
	return 1
}
