//go:build linux

package proactor

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
)

// ordered checks the order of a connection's callbacks: OnOpen, OnData …, OnClose, never two at a time.
type ordered struct {
	state      atomic.Int32 // 0 new, 1 open, 2 inside, 3 closed
	violations *atomic.Int32
}

func (o *ordered) step(from, to int32) {
	if !o.state.CompareAndSwap(from, to) {
		o.violations.Add(1)
	}
}

// The peer resets or closes at every point of an exchange: each connection is opened once and closed once, in order,
// and none is left.
func TestCallbacksAndResets(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		var violations atomic.Int32
		var opens, ends atomic.Int64
		var errs sync.Map
		large := bytesFrom(1, 1<<20)
		l := serve(t, e, Handler{
			OnOpen: func(c *Conn) {
				o := &ordered{violations: &violations}
				c.SetValue(o)
				o.step(0, 1)
				opens.Add(1)
			},
			OnData: func(c *Conn, l buffers.Lease) {
				o := c.Value().(*ordered)
				o.step(1, 2)
				if l.Bytes()[0] == 'B' {
					l.Release()
					_ = c.Send(buffers.Wrap(large))
				} else {
					_ = c.Send(l)
				}
				o.step(2, 1)
			},
			OnClose: func(c *Conn, err error) {
				c.Value().(*ordered).step(1, 3)
				ends.Add(1)
				errs.Store(err.Error(), err)
			},
		})
		steps := []func(c *net.TCPConn){
			func(c *net.TCPConn) {},
			func(c *net.TCPConn) { c.Write([]byte("x")) },
			func(c *net.TCPConn) { c.Write([]byte("x")); c.Read(make([]byte, 1)) },
			func(c *net.TCPConn) { c.Write([]byte("B")) },
			func(c *net.TCPConn) { c.Write([]byte("B")); c.Read(make([]byte, 100)) },
			func(c *net.TCPConn) { c.Write([]byte("B")); c.CloseWrite() },
			func(c *net.TCPConn) { c.Write([]byte("x")); c.CloseWrite() },
		}
		dialled := int64(0)
		for range 10 {
			for _, step := range steps {
				for _, abort := range []bool{true, false} {
					c := dial(t, l).(*net.TCPConn)
					echoOnce(t, c, []byte("hello")) // so that it has been accepted
					step(c)
					if abort {
						reset(t, c)
					} else {
						c.Close()
					}
					dialled++
				}
			}
		}
		eventually(t, "the last OnClose", func() bool { return ends.Load() == dialled })
		require.Equal(t, dialled, opens.Load())
		require.Zero(t, violations.Load())
		errs.Range(func(_, err any) bool {
			require.NotErrorIs(t, err.(error), ErrClosed)
			return true
		})
		eventually(t, "the listener is all that is left", func() bool { return e.Stats().Conns == 1 })
	})
}

// Close from elsewhere while OnData runs: the callback ends in peace, then comes OnClose(ErrClosed), once.
func TestCloseDuringOnData(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		inside, leave := make(chan *Conn), make(chan bool)
		sendErr, closed := make(chan error, 1), make(chan error, 10)
		var data atomic.Int64
		l := serve(t, e, Handler{
			OnData: func(c *Conn, l buffers.Lease) {
				data.Add(1)
				inside <- c
				<-leave
				sendErr <- c.Send(l)
			},
			OnClose: func(c *Conn, err error) { closed <- err },
		})
		for range 20 {
			peer := dial(t, l)
			_, err := peer.Write([]byte("x"))
			require.NoError(t, err)
			c := within(t, inside)
			var wins atomic.Int32
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					if err := c.Close(); err == nil {
						wins.Add(1)
					} else if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			require.EqualValues(t, 1, wins.Load())
			require.Empty(t, closed, "OnClose overlaps OnData")
			leave <- true
			require.Equal(t, ErrClosed, within(t, sendErr))
			require.Equal(t, ErrClosed, within(t, closed))
			_, err = peer.Read(make([]byte, 1))
			require.Error(t, err)
			peer.Close()
		}
		require.EqualValues(t, 20, data.Load())
		require.Empty(t, closed)
	})
}

// A panic in any callback, or the end of its goroutine, costs its own connection and nothing else; the log has the stack.
func TestEachCallbackPanics(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		var lines told
		cfg.Log = lines.add
		e := newEngine(t, cfg)
		var in atomic.Value
		in.Store("")
		fail := func(where string) {
			switch in.Load() {
			case where + " panic":
				panic("boom in " + where)
			case where + " goexit":
				runtime.Goexit()
			}
		}
		l := serve(t, e, Handler{
			OnOpen: func(*Conn) { fail("open") },
			OnData: func(c *Conn, l buffers.Lease) {
				if l.Len() == 4 {
					defer l.Release()
					fail("data")
					return
				}
				_ = c.Send(l)
			},
			OnClose: func(*Conn, error) { fail("close") },
		})
		good := dial(t, l)
		echoOnce(t, good, []byte("x"))
		panics := 0
		for _, where := range []string{"open", "data", "close"} {
			for _, how := range []string{"panic", "goexit"} {
				in.Store(where + " " + how)
				bad := dial(t, l).(*net.TCPConn)
				// The connection may end before these arrive, and then resets its peer.
				_, _ = bad.Write([]byte("four"))
				_ = bad.CloseWrite()
				_, _ = io.Copy(io.Discard, bad)
				if how == "panic" {
					panics++
					eventually(t, "the log", func() bool { return len(lines.all()) == panics })
					last := lines.all()[panics-1]
					require.Contains(t, last, "boom in "+where)
					require.Contains(t, last, "TestEachCallbackPanics")
				}
				echoOnce(t, good, []byte("y"))
				eventually(t, "the connection's end", func() bool { return e.Stats().Conns == 2 })
			}
		}
		require.EqualValues(t, 3, e.Stats().Executor.Panics)
		require.EqualValues(t, 3, e.Stats().Executor.Goexits)
		in.Store("")
	})
}

// A Handler that could only panic at the first bytes is refused before it has the connection.
func TestHandleNeedsOnData(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		c, peer := pair(t, e)
		require.Panics(t, func() { e.Handle(c, &Handler{OnClose: func(*Conn, error) {}}) })
		_, err := peer.Write([]byte("x"))
		require.NoError(t, err)
		n, err := c.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}
