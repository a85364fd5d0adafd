//go:build linux

package integration

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
	"github.com/ouro-io/ouro/uring"
)

// stack is a way to listen and to dial.
type stack struct {
	*net.Stack
	// onEngine has connections be the engine's also where the package by itself would leave them to the runtime's poller.
	onEngine bool
	engine   *proactor.Engine
}

// eachStack runs f on the package as it is, and with every connection on the engine, per backend.
func eachStack(t *testing.T, f func(t *testing.T, s stack)) {
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			for _, on := range []bool{false, true} {
				name := map[bool]string{false: "as it is", true: "on the engine"}[on]
				t.Run(name, func(t *testing.T) {
					e := newEngine(t, b)
					f(t, stack{net.On(e), on, e})
				})
			}
		})
	}
}

// newEngine starts an engine, and fails where the backend asked for is not the one that runs, unless the kernel lacks it.
func newEngine(t *testing.T, b proactor.Backend) *proactor.Engine {
	if b == proactor.IOUring {
		if err := uring.Available(); errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EPERM) {
			t.Skip(err)
		}
	}
	e, err := proactor.New(proactor.Config{Backend: b, Log: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	require.Equal(t, b, e.Info().Backend)
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

// listen listens on a free TCP port of the loopback interface, until the test ends.
func (s stack) listen(t *testing.T) net.Listener {
	l, err := s.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	if s.onEngine {
		l = serveAccept(s, l)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// dial is a DialContext whose connections are on the engine where the stack says so.
func (s stack) dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	d := s.Dialer(net.Dialer{})
	if !s.onEngine {
		return d.DialContext(ctx, network, address)
	}
	done := make(chan struct{})
	if e := s.engine.Executor().Go(func() {
		defer close(done)
		c, err = d.DialContext(ctx, network, address)
	}); e != nil {
		return nil, e
	}
	<-done
	return c, err
}

// acceptor is a Listener that gets its connections from Serve, which has the engine accept them.
type acceptor struct {
	net.Listener
	conns  chan net.Conn
	closed chan struct{}
	served chan error
	once   sync.Once
}

// closeNote is a connection that tells of its end.
type closeNote struct {
	*net.TCPConn
	ended chan struct{}
	once  sync.Once
}

func (c *closeNote) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(func() { close(c.ended) })
	return err
}

func serveAccept(s stack, l net.Listener) *acceptor {
	a := &acceptor{Listener: l, conns: make(chan net.Conn), closed: make(chan struct{}), served: make(chan error, 1)}
	go func() {
		a.served <- s.ServeConfig(net.ServeConfig{Goroutines: true}).Serve(l, func(c net.Conn) {
			n := &closeNote{TCPConn: c.(*net.TCPConn), ended: make(chan struct{})}
			select {
			case a.conns <- n:
				<-n.ended
			case <-a.closed:
			}
		})
	}()
	return a
}

func (a *acceptor) Accept() (net.Conn, error) {
	select {
	case c := <-a.conns:
		return c, nil
	case <-a.closed:
		return a.Listener.Accept() // the listener's own error
	}
}

func (a *acceptor) Close() (err error) {
	err = net.ErrClosed
	a.once.Do(func() {
		err = a.Listener.Close()
		<-a.served
		close(a.closed)
	})
	return err
}

// tempFile makes a file of n bytes that differ from one another.
func tempFile(t *testing.T, n int) (path string, content []byte) {
	content = pattern(n)
	path = t.TempDir() + "/file"
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path, content
}

// pattern is n bytes in which neighbours and pages differ.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}
