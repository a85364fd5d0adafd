//go:build linux

package net

import (
	"context"
	"io"
	stdnet "net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// strange hides the type of its connections, as a TLS listener does.
type strange struct{ Listener }

func (s strange) Accept() (Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ Conn }{c}, nil
}

// Serve takes any listener: connections of the standard library are moved to the engine, others stay with goroutines.
func TestServeOtherListeners(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		for _, hide := range []bool{false, true} {
			l, err := stdnet.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			if hide {
				l = strange{l}
			}
			coroutine := make(chan bool, 1)
			ended := make(chan error, 1)
			go func() {
				ended <- s.Serve(l, func(c Conn) {
					coroutine <- executor.Current() != nil
					echo(c)
				})
			}()
			c := dialOn(t, s, l)
			echoOnce(t, c, []byte("hello"))
			require.Equal(t, !hide, <-coroutine)
			c.Close()
			require.NoError(t, l.Close())
			require.ErrorIs(t, <-ended, ErrClosed)
		}
	})
}

// After ServeContext has ended the listener is as it was: Accept works, and so does another Serve.
func TestServeContext(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		l, err := s.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.ServeContext(ctx, l, echo) }()
			c := dialOn(t, s, l)
			echoOnce(t, c, []byte("hello"))
			_, err := l.Accept()
			require.ErrorIs(t, err, errServed)
			require.ErrorIs(t, s.Serve(l, echo), errServed)
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
			c.Close()
			got := make(chan Conn, 1)
			go func() {
				c, err := l.Accept()
				if err != nil {
					t.Error(err)
				}
				got <- c
			}()
			c = dialOn(t, s, l)
			a := <-got
			c.Close()
			a.Close()
		}
		require.NoError(t, l.(*TCPListener).SetDeadline(time.Now()))
	})
}

// Dial, Listen, Accept and Serve on coroutines suspend: a single worker does all of it.
func TestAllOnOneWorker(t *testing.T) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			e := newEngine(t, proactor.Config{Backend: b, Workers: 1, DemoteAfter: -1})
			s := On(e)
			runOn(e, func() {
				l, err := s.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Error(err)
					return
				}
				var w executor.Waiter
				w.Prepare()
				if err := e.Executor().Go(func() {
					defer w.Wake()
					a, err := l.Accept()
					if err != nil {
						t.Error(err)
						return
					}
					echo(a)
					a.Close()
				}); err != nil {
					t.Error(err)
					return
				}
				c, err := s.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				echoOnce(t, c, []byte("hello"))
				c.Close()
				w.Wait()
				l.Close()
			})
		})
	}
}

// The engine's shutdown ends Serve on every listener, at once, and closes one that is not of this package.
func TestServeEndsWithTheEngine(t *testing.T) {
	for _, b := range backends {
		for _, goroutines := range []bool{false, true} {
			for name, wrap := range map[string]func(Listener) Listener{
				"std": func(l Listener) Listener { return l }, "strange": func(l Listener) Listener { return strange{l} },
			} {
				t.Run(b.String()+" "+name, func(t *testing.T) { serveEndsWithEngine(t, b, goroutines, wrap) })
			}
		}
	}
}

func serveEndsWithEngine(t *testing.T, b proactor.Backend, goroutines bool, wrap func(Listener) Listener) {
	e := newEngine(t, proactor.Config{Backend: b})
	for _, cfg := range []ServeConfig{{Goroutines: goroutines}, {Goroutines: goroutines, MaxConns: 1, Drain: -1}} {
		std, err := stdnet.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer std.Close()
		began, ended := make(chan bool, 1), make(chan error, 1)
		go func() {
			ended <- On(e).ServeConfig(cfg).Serve(wrap(std), func(c Conn) {
				began <- true
				_, _ = c.Read(make([]byte, 1))
			})
		}()
		if cfg.Drain == 0 { // the second begins when the engine has ended
			c := dialStd(t, std)
			<-began
			shut := make(chan error, 1)
			go func() { shut <- e.Shutdown(context.Background()) }()
			err = <-ended
			c.Close()
			require.NoError(t, <-shut)
		} else {
			err = <-ended
		}
		var op *OpError
		require.ErrorAs(t, err, &op)
		require.Equal(t, "accept", op.Op)
		require.Equal(t, std.Addr(), op.Addr)
		require.ErrorIs(t, err, proactor.ErrShutdown)
		_, err = std.Accept() // not by a dial: the port may be another program's by now
		require.ErrorIs(t, err, ErrClosed)
	}
}

// A connection that meets the engine's end when it is to go there is closed, not served without it.
func TestMoveMeetsShutdown(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		client, server := latePair(t, forced(e, modeRuntime), "tcp")
		require.NoError(t, e.Shutdown(context.Background()))
		s := newServing(ServeConfig{MaxConns: 1, stack: On(e)}, func(Conn) { t.Error("a handler runs") })
		ended := 0
		s.shutdown = func() { ended++ }
		s.n = 1
		s.begin(streamOf(server).rt.std)
		require.Equal(t, 1, ended)
		require.Zero(t, s.n)
		_, err := client.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
	})
}

// No listener is an error, and no panic.
func TestServeWithoutListener(t *testing.T) {
	for _, l := range []Listener{
		nil, (*TCPListener)(nil), (*UnixListener)(nil), (*stdnet.TCPListener)(nil), (*stdnet.UnixListener)(nil), &TCPListener{}, &UnixListener{},
	} {
		require.ErrorIs(t, Serve(l, echo), syscall.EINVAL)
		require.ErrorIs(t, ServeConfig{FirstBytesTimeout: time.Second}.Serve(l, echo), syscall.EINVAL)
	}
}

// A context that ends while Serve waits for the end of a connection closes a listener that is not of this package, too, before
// Serve returns.
func TestContextEndsBesideMaxConns(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for range 100 {
			l, err := stdnet.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			began, ended := make(chan bool, 1), make(chan error, 1)
			go func() {
				ended <- On(e).ServeConfig(ServeConfig{MaxConns: 1}).ServeContext(ctx, strange{l}, func(c Conn) {
					began <- true
					_, _ = c.Read(make([]byte, 1))
				})
			}()
			c := dialStd(t, l)
			<-began
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
			require.ErrorIs(t, l.Close(), ErrClosed)
			c.Close()
		}
	})
}
