//go:build linux

package net

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// echo sends back what it reads.
func echo(c Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func echoLease(c Conn) {
	tc := c.(*TCPConn)
	for {
		l, err := tc.ReadLease()
		if err != nil {
			return
		}
		if tc.WriteLease(l) != nil {
			return
		}
	}
}

// serveOn serves handler until the test ends, and returns the listener.
func serveOn(t testing.TB, s *Stack, handler func(Conn)) Listener {
	l, err := s.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l, handler) }()
	t.Cleanup(func() {
		l.Close()
		require.ErrorIs(t, <-ended, ErrClosed)
	})
	return l
}

func dialOn(t testing.TB, s *Stack, l Listener) *TCPConn {
	c, err := s.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*TCPConn)
}

func echoOnce(t testing.TB, c io.ReadWriter, msg []byte) {
	_, err := c.Write(msg)
	require.NoError(t, err)
	got := make([]byte, len(msg))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(msg, got))
}

func TestServeEcho(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for _, p := range []modePolicy{modeEngine, modeRuntime} {
			for name, handler := range map[string]func(Conn){"copy": echo, "lease": echoLease} {
				s := forced(e, p)
				coroutine := make(chan bool, 1)
				l := serveOn(t, s, func(c Conn) {
					coroutine <- executor.Current() != nil
					handler(c)
				})
				c := dialOn(t, s, l)
				require.Equal(t, p == modeEngine, c.conn.Load() != nil)
				for range 50 {
					echoOnce(t, c, []byte("hello, "+name))
				}
				require.True(t, <-coroutine)
			}
		}
	})
}

func TestServeGoroutines(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		l, err := s.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ended := make(chan error, 1)
		coroutine := make(chan bool, 1)
		go func() {
			ended <- s.ServeConfig(ServeConfig{Goroutines: true}).Serve(l, func(c Conn) {
				coroutine <- executor.Current() != nil
				echo(c)
			})
		}()
		echoOnce(t, dialOn(t, s, l), []byte("hello"))
		require.False(t, <-coroutine)
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-ended, ErrClosed)
	})
}

// reservedAddress is an address that this process can listen on again and again, and that the kernel gives to nobody: of a socket
// that is bound, and does not listen.
func reservedAddress(t testing.TB) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	sa, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return fmt.Sprint("127.0.0.1:", sa.(*unix.SockaddrInet4).Port)
}

// Close ends Serve and frees the address before it returns.
func TestCloseFreesAddress(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		address := reservedAddress(t)
		for range 20 {
			l, err := s.Listen("tcp", address)
			require.NoError(t, err)
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(l, echo) }()
			c := dialOn(t, s, l)
			echoOnce(t, c, []byte("x"))
			c.Close()
			require.NoError(t, l.Close())
			err = <-ended
			var op *OpError
			require.True(t, errors.As(err, &op))
			require.Equal(t, "accept", op.Op)
			require.ErrorIs(t, err, ErrClosed)
		}
	})
}

// The engine asks connections for SO_LINGER, which they inherit, where somebody else has had their listener's descriptor.
func TestListenerIsSealed(t *testing.T) {
	sealed := func(l Listener) bool {
		var sl *socketListener
		switch l := l.(type) {
		case *TCPListener:
			sl = &l.socketListener
		case *UnixListener:
			sl = &l.socketListener
		}
		return engineListener{sl.std, sl}.Sealed()
	}
	l, err := Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	require.True(t, sealed(l))
	_, err = l.(*TCPListener).SyscallConn()
	require.NoError(t, err)
	require.False(t, sealed(l), "SyscallConn")

	u, err := Listen((&record{t: t}).address("abstract"))
	require.NoError(t, err)
	defer u.Close()
	require.True(t, sealed(u))
	f, err := u.(*UnixListener).File()
	require.NoError(t, err)
	defer f.Close()
	require.False(t, sealed(u), "File")
	again, err := FileListener(f)
	require.NoError(t, err)
	defer again.Close()
	require.False(t, sealed(again), "FileListener")

	lc := ListenConfig{Control: func(string, string, syscall.RawConn) error { return nil }}
	c, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer c.Close()
	require.False(t, sealed(c), "ListenConfig.Control")
}
