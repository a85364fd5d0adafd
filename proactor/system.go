//go:build linux

package proactor

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/op"
)

// kernel is op.System on the real kernel.
type kernel struct{}

// smallTransfer is the size up to which a transfer is so short that telling the Go scheduler of the system call
// costs more than it can gain.
const smallTransfer = 16 << 10

// The methods that a coroutine's Write goes through have few and small frames, and a pointer receiver, which spares the
// wrapper that a value in an interface has.

func (*kernel) Send(fd int, p []byte) (int, syscall.Errno) {
	return transfer(sysSendto, fd, p, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

func (*kernel) Recv(fd int, p []byte) (int, syscall.Errno) {
	return transfer(sysRecvfrom, fd, p, unix.MSG_DONTWAIT)
}

// SendMsgs and RecvMsg make it an op.Datagrams.
func (*kernel) SendMsgs(fd int, ms []dgram.Msg) (int, syscall.Errno) { return dgram.Send(fd, ms, 0) }

func (*kernel) RecvMsg(fd int, h *unix.Msghdr) (int, syscall.Errno) { return dgram.RecvOne(fd, h, 0) }

func (*kernel) Shutdown(fd, how int) syscall.Errno { return errnoOf(unix.Shutdown(fd, how)) }

// Close tells the Go scheduler of the system call only where it may wait. The runtime's monitor that happens to look during one takes
// the worker's P away, and for some time looks every 20 µs: that was 10 % of Serve's CPU, and 20 % of the callbacks', for
// connections of one request.
func (*kernel) Close(fd int, how op.Closing) syscall.Errno {
	switch how {
	case op.Waiting:
		return errnoOf(unix.Close(fd))
	case op.Reset:
		// It fails on what is not a TCP socket; then there is nothing to reset.
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	_, _, errno := syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	return errno
}

func (*kernel) Lingers(fd int) bool { return lingerSeconds(fd) > 0 }

func (*kernel) Duplicate(fd, flags int) (int, syscall.Errno) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, errnoOf(err)
	}
	if err := unix.SetNonblock(dup, flags&unix.O_NONBLOCK != 0); err != nil {
		unix.Close(dup)
		return -1, errnoOf(err)
	}
	return dup, 0
}

func (*kernel) Name(fd int, peer bool) op.Endpoint {
	if peer {
		return endpoint(unix.SYS_GETPEERNAME, fd)
	}
	return endpoint(unix.SYS_GETSOCKNAME, fd)
}

func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return syscall.EIO
}
