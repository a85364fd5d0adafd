//go:build linux

package proactor

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
)

// onEachBackend runs f once per backend. A backend that was meant and cannot start fails the test, unless the kernel
// really lacks io_uring.
func onEachBackend(t *testing.T, f func(t *testing.T, c Config)) {
	for _, b := range []Backend{IOUring, Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			skipWithout(t, b)
			f(t, Config{Backend: b, Log: func(s string) { t.Log(s) }})
		})
	}
}

func newEngine(t *testing.T, c Config) *Engine {
	e, err := New(c)
	require.NoError(t, err)
	require.Equal(t, c.Backend, e.Info().Backend)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, e.Shutdown(ctx))
		s := e.Stats()
		require.Zero(t, s.Conns, "connections left")
		require.Zero(t, s.InFlight, "operations left in flight")
		for _, g := range s.Buffers {
			require.Zero(t, g.Out, "leases left")
		}
	})
	return e
}

func listen(t testing.TB) *net.TCPListener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

func dial(t testing.TB, l net.Listener) net.Conn {
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func echoOnce(t testing.TB, c net.Conn, msg []byte) {
	_, err := c.Write(msg)
	require.NoError(t, err)
	got := make([]byte, len(msg))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(msg, got))
}

func TestCallbackEcho(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		l := listen(t)
		closed := make(chan error, 1)
		a, err := e.Serve(l, Handler{
			OnData:  func(c *Conn, l buffers.Lease) { _ = c.Send(l) },
			OnClose: func(c *Conn, err error) { closed <- err },
		})
		require.NoError(t, err)
		c := dial(t, l)
		for range 100 {
			echoOnce(t, c, []byte("hello, ring"))
		}
		c.Close()
		require.Equal(t, io.EOF, <-closed)
		require.NoError(t, a.Close())
		require.Equal(t, ErrClosed, a.Wait(context.Background()))
	})
}

func TestCoroutineEcho(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		l := listen(t)
		ended := make(chan error, 1)
		a, err := e.Accept(l, func(c *Conn) {
			_ = c.Start(func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					if err != nil {
						ended <- err
						return
					}
					if _, err := c.Write(buf[:n]); err != nil {
						ended <- err
						return
					}
				}
			}, nil, false)
		})
		require.NoError(t, err)
		c := dial(t, l)
		for range 100 {
			echoOnce(t, c, []byte("hello, ring"))
		}
		c.Close()
		require.Equal(t, io.EOF, <-ended)
		require.NoError(t, a.Close())
	})
}
