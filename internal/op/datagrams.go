//go:build linux

package op

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
)

// Datagrams is the part of System that sockets for datagrams use, for a simulation to replace: a System that does not
// have it leaves them to the kernel. None of the calls waits, each is safe from any goroutine, and 0 means success.
type Datagrams interface {
	// SendMsgs is sendmmsg(2) with MSG_DONTWAIT and MSG_NOSIGNAL: it returns how many of ms went, and when that is none
	// why.
	SendMsgs(fd int, ms []dgram.Msg) (int, syscall.Errno)
	// RecvMsg is recvmsg(2) with MSG_DONTWAIT.
	RecvMsg(fd int, h *unix.Msghdr) (int, syscall.Errno)
}
