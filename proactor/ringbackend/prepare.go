//go:build linux

package ringbackend

import (
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// prepare translates o into a submission. MSG_WAITALL makes the kernel finish a short send by itself; what it still
// cuts short (a signal, an error half-way) the owner sees in the result.
func prepare(s *uring.SQE, o *op.Op) {
	fd := int(o.FD)
	switch o.Kind {
	case op.Accept:
		s.PrepAcceptMultishot(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	case op.Connect:
		s.PrepConnect(fd, o.Buf)
	case op.Recv:
		s.PrepRecvMultishot(fd, bufferGroup)
	case op.RecvInto:
		s.PrepRecv(fd, o.Buf, 0)
	case op.Send:
		s.PrepSend(fd, o.Buf, unix.MSG_NOSIGNAL|unix.MSG_WAITALL)
	case op.SendZC:
		s.PrepSendZC(fd, o.Buf, unix.MSG_NOSIGNAL|unix.MSG_WAITALL, uring.SendZCReportUsage)
	case op.SendMsgZC:
		s.PrepSendMsgZC(fd, o.Msg(), unix.MSG_NOSIGNAL|unix.MSG_WAITALL)
		s.IoPrio = uring.SendZCReportUsage
	case op.Poll:
		s.PrepPollAdd(fd, o.Events)
	case op.RecvMsg:
		s.PrepRecvMsgMultishot(fd, o.Msg(), bufferGroup, 0)
	case op.RecvMsgInto:
		s.PrepRecvMsg(fd, o.Msg(), o.Events)
	case op.SendMsg:
		s.PrepSendMsg(fd, o.Msg(), o.Events|unix.MSG_NOSIGNAL)
	case op.Nop:
		s.PrepNop()
	default:
		prepareFile(s, o)
	}
}

// known reports whether prepare knows k.
func known(k op.Kind) bool { return k <= op.SendMsgZC }
