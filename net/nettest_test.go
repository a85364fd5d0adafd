//go:build linux

package net

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// TestNettest runs the conformance suite on each backend, in each mode, and with every call made by an ordinary goroutine
// or by a coroutine.
func TestNettest(t *testing.T) {
	for name, v := range map[string]struct {
		policy    modePolicy
		coroutine bool
		served    bool
	}{
		"engine":            {policy: modeEngine},
		"engine-coroutine":  {policy: modeEngine, coroutine: true},
		"runtime":           {policy: modeRuntime},
		"runtime-coroutine": {policy: modeRuntime, coroutine: true}, // moves at the first use
		"served":            {policy: modeEngine, served: true},
		"served-coroutine":  {policy: modeRuntime, served: true, coroutine: true},
	} {
		t.Run(name, func(t *testing.T) {
			onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
				s := forced(e, v.policy)
				nettest.TestConn(t, func() (c1, c2 Conn, stop func(), err error) {
					a, b := pipe(t, s, v.served)
					c1, c2 = Conn(a), Conn(b)
					if v.coroutine {
						c1, c2 = onCoroutines(e, a), onCoroutines(e, b)
					}
					return c1, c2, func() {
						_ = c1.Close()
						_ = c2.Close()
						if v.policy == modeEngine || v.coroutine {
							require.NotNil(t, a.conn.Load(), "it was to be on the engine")
						} else {
							require.Nil(t, a.conn.Load(), "it was to be in runtime mode")
						}
						require.Same(t, e, b.engineUsed(e))
					}, nil
				})
			})
		})
	}
}

// engineUsed is the engine that the connection runs on, or e in runtime mode.
func (c *TCPConn) engineUsed(e *proactor.Engine) *proactor.Engine {
	if pc := c.conn.Load(); pc != nil {
		return pc.Engine()
	}
	return e
}

// pipe connects two connections: the first by Dial, the second by Accept, or by Serve whose handler waits for the end.
func pipe(t testing.TB, s *Stack, served bool) (dialed, accepted *TCPConn) {
	l, err := s.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	got := make(chan *TCPConn, 1)
	ended := make(chan error, 1)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	if served {
		go func() {
			ended <- s.Serve(l, func(c Conn) {
				got <- c.(*TCPConn)
				await(func() { <-release })
			})
		}()
	} else {
		go func() {
			c, err := l.Accept()
			if err == nil {
				got <- c.(*TCPConn)
			}
			ended <- err
		}()
	}
	c, err := s.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	accepted = <-got
	require.NoError(t, l.Close())
	if err := <-ended; served {
		require.ErrorIs(t, err, ErrClosed)
	} else {
		require.NoError(t, err)
	}
	return c.(*TCPConn), accepted
}

// viaCoroutines is a connection whose every call is made by a coroutine of the engine.
type viaCoroutines struct {
	*TCPConn
	e *proactor.Engine
}

func onCoroutines(e *proactor.Engine, c *TCPConn) Conn { return viaCoroutines{c, e} }

// call runs f on a coroutine and waits for it.
func (v viaCoroutines) call(f func()) { runOn(v.e, f) }

func runOn(e *proactor.Engine, f func()) {
	var done sync.WaitGroup
	done.Add(1)
	err := e.Executor().Go(func() {
		defer done.Done()
		if executor.Current() == nil {
			panic("not on a coroutine")
		}
		f()
	})
	if errors.Is(err, executor.ErrShutdown) {
		// nettest does not wait for all of its goroutines. Those of a test that has ended find the engine gone, and get
		// what any goroutine gets from the connection then.
		f()
		return
	}
	if err != nil {
		panic(err)
	}
	done.Wait()
}

func (v viaCoroutines) Read(p []byte) (n int, err error) {
	v.call(func() { n, err = v.TCPConn.Read(p) })
	return n, err
}

func (v viaCoroutines) Write(p []byte) (n int, err error) {
	v.call(func() { n, err = v.TCPConn.Write(p) })
	return n, err
}

func (v viaCoroutines) Close() (err error) {
	v.call(func() { err = v.TCPConn.Close() })
	return err
}

func (v viaCoroutines) SetDeadline(d time.Time) (err error) {
	v.call(func() { err = v.TCPConn.SetDeadline(d) })
	return err
}

func (v viaCoroutines) SetReadDeadline(d time.Time) (err error) {
	v.call(func() { err = v.TCPConn.SetReadDeadline(d) })
	return err
}

func (v viaCoroutines) SetWriteDeadline(d time.Time) (err error) {
	v.call(func() { err = v.TCPConn.SetWriteDeadline(d) })
	return err
}
