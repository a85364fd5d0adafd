//go:build linux

package uring

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func splitLines(s string) []string { return strings.Split(s, "\n") }

func hasField(line, field string) bool { return slices.Contains(strings.Fields(line), field) }

// eventFD is a readable-when-signalled descriptor, closed at the test's end.
func eventFD(t testing.TB) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	closeLater(t, fd)
	return fd
}

var oneEvent = [8]byte{1}

func signal(t testing.TB, fd int) {
	if _, err := unix.Write(fd, oneEvent[:]); err != nil {
		t.Fatal(err)
	}
}

func closeLater(t testing.TB, fd int) {
	t.Cleanup(func() { require.NoError(t, unix.Close(fd)) })
}

// tcpPair is a connected pair of TCP sockets on loopback.
func tcpPair(t testing.TB) (a, b int) {
	t.Helper()
	l, addr := listenTCP(t)
	a, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closeLater(t, a)
	require.NoError(t, unix.Connect(a, addr))
	b, _, err = unix.Accept4(l, unix.SOCK_CLOEXEC)
	require.NoError(t, err)
	closeLater(t, b)
	return a, b
}

func listenTCP(t testing.TB) (fd int, addr *unix.SockaddrInet4) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closeLater(t, fd)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(fd, 16))
	sa, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return fd, sa.(*unix.SockaddrInet4)
}

// rawInet4 is a struct sockaddr_in in the kernel's form.
func rawInet4(port int) []byte {
	b := make([]byte, 16)
	binary.NativeEndian.PutUint16(b, unix.AF_INET)
	b[2], b[3] = byte(port>>8), byte(port)
	copy(b[4:], []byte{127, 0, 0, 1})
	return b
}
