//go:build linux

package optest

import (
	"testing"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Sockets are the system calls that the checks make themselves. A backend whose operations are not the real kernel's
// has a method Sockets() Sockets. Descriptors are TCP over IPv4 and close-on-exec; the calls wait unless they say
// otherwise.
type Sockets interface {
	Socket(flags int) (int, error)
	Bind(fd int, sa *unix.SockaddrInet4) error
	Listen(fd, backlog int) error
	Name(fd int) (*unix.SockaddrInet4, error)
	Connect(fd int, sa *unix.SockaddrInet4) error
	Accept(fd, flags int) (int, error)
	Read(fd int, p []byte) (int, error)
	Write(fd int, p []byte) (int, error)
	Shutdown(fd, how int) error
	Close(fd int) error
	// Connected reports an error unless fd has a peer, Flags the status flags, and whether it is close-on-exec.
	Connected(fd int) error
	Flags(fd int) (int, bool, error)
	// Receive does not wait. Urgent sends a byte out of band.
	Receive(fd int, p []byte) (int, error)
	Urgent(fd int, b byte) error
	// Guard bounds how long calls on fd wait, NoDelay sends what is written at once, CloseResets has Close reset the peer.
	Guard(fd int) error
	NoDelay(fd int) error
	CloseResets(fd int) error
	// Dup duplicates fd, Dup3 to the number given, which Reserve has made sure of.
	Dup(fd int) (int, error)
	Dup3(fd, number int) error
	Reserve(number int) error
	// Pipe makes descriptors that are no sockets.
	Pipe(flags int) ([]int, error)
	// Exhausted calls f while no more descriptors may be opened.
	Exhausted(t testing.TB, f func())
	// Lacks says why a check, group/name, cannot be run; empty if it can.
	Lacks(check string) string
}

func socketsOf(b op.Backend) Sockets {
	if s, ok := b.(interface{ Sockets() Sockets }); ok {
		return s.Sockets()
	}
	return realSockets{}
}

// realSockets are the kernel's.
type realSockets struct{}

func (realSockets) Socket(flags int) (int, error) {
	return unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
}
func (realSockets) Bind(fd int, sa *unix.SockaddrInet4) error    { return unix.Bind(fd, sa) }
func (realSockets) Listen(fd, backlog int) error                 { return unix.Listen(fd, backlog) }
func (realSockets) Connect(fd int, sa *unix.SockaddrInet4) error { return unix.Connect(fd, sa) }
func (realSockets) Read(fd int, p []byte) (int, error)           { return unix.Read(fd, p) }
func (realSockets) Write(fd int, p []byte) (int, error)          { return unix.Write(fd, p) }
func (realSockets) Shutdown(fd, how int) error                   { return unix.Shutdown(fd, how) }
func (realSockets) Close(fd int) error                           { return unix.Close(fd) }
func (realSockets) Dup3(fd, number int) error                    { return unix.Dup3(fd, number, unix.O_CLOEXEC) }
func (realSockets) Reserve(number int) error                     { return unix.Dup3(0, number, unix.O_CLOEXEC) }
func (realSockets) Urgent(fd int, b byte) error                  { return unix.Sendto(fd, []byte{b}, unix.MSG_OOB, nil) }
func (realSockets) Lacks(string) string                          { return "" }
func (realSockets) Dup(fd int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
}
func (realSockets) CloseResets(fd int) error {
	return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}
func (realSockets) NoDelay(fd int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
}

func (realSockets) Name(fd int) (*unix.SockaddrInet4, error) {
	sa, err := unix.Getsockname(fd)
	in, _ := sa.(*unix.SockaddrInet4)
	return in, err
}

func (realSockets) Accept(fd, flags int) (int, error) {
	c, _, err := unix.Accept4(fd, flags)
	return c, err
}

func (realSockets) Connected(fd int) error {
	_, err := unix.Getpeername(fd)
	return err
}

func (realSockets) Flags(fd int) (int, bool, error) {
	status, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return 0, false, err
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return status, own&unix.FD_CLOEXEC != 0, err
}

func (realSockets) Receive(fd int, p []byte) (int, error) {
	n, _, err := unix.Recvfrom(fd, p, unix.MSG_DONTWAIT)
	return n, err
}

func (realSockets) Guard(fd int) error {
	tv := unix.NsecToTimeval(int64(hangs))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return err
	}
	return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
}

func (realSockets) Pipe(flags int) ([]int, error) {
	p := make([]int, 2)
	return p, unix.Pipe2(p, unix.O_CLOEXEC|flags)
}

func (realSockets) Exhausted(t testing.TB, f func()) {
	var was unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	// A new descriptor takes the lowest free number, so all below the limit must be in use.
	fill, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	filled := []int{fill}
	defer func() {
		for _, fd := range filled {
			unix.Close(fd)
		}
	}()
	for n := countFDs(t) + 64; fill < n; {
		fill, err = unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		filled = append(filled, fill)
	}
	less := was
	less.Cur = uint64(fill + 1)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &less))
	defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was)) }()
	f()
}
