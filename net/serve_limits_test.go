//go:build linux

package net

import (
	"context"
	"io"
	stdnet "net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

// onEachWay runs f with a listener that the engine serves, and with one whose connections are served on goroutines.
func onEachWay(t *testing.T, f func(t *testing.T, s *Stack, listen func() Listener)) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		f(t, s, func() Listener {
			l, err := s.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			return l
		})
		f(t, s, func() Listener {
			l, err := stdnet.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			return strange{l}
		})
	})
}

func dialStd(t *testing.T, l Listener) Conn {
	c, err := stdnet.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// With Drain, Serve returns after its handlers.
func TestDrainWaits(t *testing.T) {
	onEachWay(t, func(t *testing.T, s *Stack, listen func() Listener) {
		l := listen()
		defer l.Close()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		var left atomic.Int32
		inside := make(chan bool, 3)
		go func() {
			ended <- s.ServeConfig(ServeConfig{Drain: -1}).ServeContext(ctx, l, func(c Conn) {
				inside <- true
				_, _ = c.Read(make([]byte, 1))
				left.Add(1)
			})
		}()
		var cs []Conn
		for range 3 {
			cs = append(cs, dialStd(t, l))
			<-inside
		}
		cancel()
		for _, c := range cs {
			select {
			case err := <-ended:
				t.Error("returned before its handlers", err)
			default:
			}
			c.Close()
		}
		require.ErrorIs(t, <-ended, context.Canceled)
		require.EqualValues(t, 3, left.Load())
	})
}

// What is open after Drain is closed, and the error says so.
func TestDrainCuts(t *testing.T) {
	onEachWay(t, func(t *testing.T, s *Stack, listen func() Listener) {
		l := listen()
		ended := make(chan error, 1)
		inside, read := make(chan bool, 1), make(chan error, 1)
		go func() {
			ended <- s.ServeConfig(ServeConfig{Drain: time.Millisecond}).Serve(l, func(c Conn) {
				inside <- true
				_, err := c.Read(make([]byte, 1))
				read <- err
			})
		}()
		c := dialStd(t, l)
		<-inside
		require.NoError(t, l.Close())
		err := <-ended
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorContains(t, err, "1 connections were open")
		require.ErrorIs(t, <-read, ErrClosed)
		_, err = c.Read(make([]byte, 1))
		require.Error(t, err)
	})
}

// OnDrain is told of each connection, and can end its handler.
func TestOnDrain(t *testing.T) {
	onEachWay(t, func(t *testing.T, s *Stack, listen func() Listener) {
		l := listen()
		defer l.Close()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		inside, read := make(chan bool, 5), make(chan error, 5)
		cfg := ServeConfig{Drain: -1, OnDrain: func(c Conn) { _ = c.SetReadDeadline(time.Now()) }}
		go func() {
			ended <- s.ServeConfig(cfg).ServeContext(ctx, l, func(c Conn) {
				inside <- true
				_, err := c.Read(make([]byte, 1))
				read <- err
			})
		}()
		for range 5 {
			dialStd(t, l)
			<-inside
		}
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		for range 5 {
			require.ErrorIs(t, <-read, os.ErrDeadlineExceeded)
		}
	})
}

// No more than MaxConns are served at a time, and all are served in the end.
func TestMaxConns(t *testing.T) {
	onEachWay(t, func(t *testing.T, s *Stack, listen func() Listener) {
		l := listen()
		ended := make(chan error, 1)
		const most, total = 3, 60
		var now, peak atomic.Int32
		go func() {
			ended <- s.ServeConfig(ServeConfig{MaxConns: most}).Serve(l, func(c Conn) {
				n := now.Add(1)
				for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
				}
				echo(c)
				now.Add(-1)
			})
		}()
		var clients sync.WaitGroup
		for range total {
			clients.Go(func() {
				c := dialStd(t, l)
				echoOnce(t, c, []byte("hello"))
				c.Close()
			})
		}
		clients.Wait()
		require.LessOrEqual(t, peak.Load(), int32(most))
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-ended, ErrClosed)
		require.Eventually(t, func() bool { return now.Load() == 0 }, 20*time.Second, time.Millisecond)
	})
}

// Those that wait for their turn when Serve ends are closed, not left.
func TestMaxConnsEnd(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		l, err := s.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ended := make(chan error, 1)
		inside := make(chan bool, 1)
		go func() {
			ended <- s.ServeConfig(ServeConfig{MaxConns: 1, Drain: time.Millisecond}).Serve(l, func(c Conn) {
				inside <- true
				echo(c)
			})
		}()
		var cs []Conn
		for range 10 {
			cs = append(cs, dialStd(t, l))
		}
		<-inside
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-ended, ErrClosed)
		for _, c := range cs {
			_, err := c.Read(make([]byte, 1))
			require.Error(t, err)
		}
	})
}

// A burst is served at once, and what comes after it not faster than the rate.
func TestAcceptRate(t *testing.T) {
	onEachWay(t, func(t *testing.T, s *Stack, listen func() Listener) {
		l := listen()
		ended := make(chan error, 1)
		const burst, total, rate = 3, 10, 100
		began := time.Now()
		go func() {
			ended <- s.ServeConfig(ServeConfig{AcceptRate: rate, AcceptBurst: burst}).Serve(l, echo)
		}()
		var clients sync.WaitGroup
		for range total {
			clients.Go(func() {
				c := dialStd(t, l)
				echoOnce(t, c, []byte("hello"))
				c.Close()
			})
		}
		clients.Wait()
		require.GreaterOrEqual(t, time.Since(began), (total-burst)*time.Second/rate, "they were let in too fast")
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-ended, ErrClosed)
	})
}

// Who opens a connection and sends nothing, or too little, is closed; who sends enough is not, however idle later.
func TestFirstBytes(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		for _, network := range []string{"tcp", "unix"} {
			patiently(t, 200*time.Millisecond, func(d time.Duration) bool { return firstBytes(t, s, network, d) })
		}
		l, err := stdnet.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		err = s.ServeConfig(ServeConfig{FirstBytesTimeout: time.Second}).Serve(strange{l}, echo)
		require.ErrorContains(t, err, "hide them")
	})
}

// firstBytes serves three connections, and reports whether the one that sends enough did so in time.
func firstBytes(t *testing.T, s *Stack, network string, timeout time.Duration) bool {
	network, address := (&record{t: t}).address(network)
	l, err := s.Listen(network, address)
	require.NoError(t, err)
	ended := make(chan error, 1)
	cfg := ServeConfig{FirstBytesTimeout: timeout, FirstBytes: 4}
	go func() { ended <- s.ServeConfig(cfg).Serve(l, echo) }()
	defer func() {
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-ended, ErrClosed)
	}()
	var cs []Conn
	began := time.Now()
	for _, first := range []string{"much", "", "x"} {
		c, err := stdnet.Dial(network, l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		if _, err = c.Write([]byte(first)); err != nil && time.Since(began) >= timeout {
			return false
		}
		require.NoError(t, err)
		cs = append(cs, c)
	}
	if _, err = io.ReadFull(cs[0], make([]byte, 4)); err != nil && time.Since(began) >= timeout {
		return false
	}
	require.NoError(t, err)
	for _, c := range cs[1:] {
		_, err = io.Copy(io.Discard, c)
		if err != nil {
			require.ErrorContains(t, err, "reset")
		}
	}
	echoOnce(t, cs[0], []byte("still here"))
	return true
}

// Bytes that a handler reads as messages are its first bytes too.
func TestFirstBytesOfMessages(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		for name, read := range map[string]func(c *UnixConn, b []byte) (int, error){
			"ReadMsgUnix":  func(c *UnixConn, b []byte) (int, error) { n, _, _, _, err := c.ReadMsgUnix(b, nil); return n, err },
			"ReadFromUnix": func(c *UnixConn, b []byte) (int, error) { n, _, err := c.ReadFromUnix(b); return n, err },
		} {
			patiently(t, 500*time.Millisecond, func(d time.Duration) bool { return firstMessage(t, s, d, name, read) })
		}
	})
}

// firstMessage reports whether the connection that sends something did so in time.
func firstMessage(t *testing.T, s *Stack, timeout time.Duration, name string, read func(c *UnixConn, b []byte) (int, error)) bool {
	network, address := (&record{t: t}).address("unix")
	l, err := s.Listen(network, address)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		ended <- s.ServeConfig(ServeConfig{FirstBytesTimeout: timeout}).Serve(l, func(c Conn) {
			b := make([]byte, 100)
			for {
				n, err := read(c.(*UnixConn), b)
				if err != nil {
					return
				}
				_, _ = c.Write(b[:n])
			}
		})
	}()
	defer func() {
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-ended, ErrClosed)
	}()
	open := func() Conn {
		c, err := stdnet.Dial(network, l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	began := time.Now()
	c := open()
	_, err = c.Write([]byte("first"))
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 5))
	}
	if err != nil && time.Since(began) >= timeout {
		return false
	}
	require.NoError(t, err, name)
	_, err = io.Copy(io.Discard, open()) // its time began later, and is over
	require.NoError(t, err, name)
	echoOnce(t, c, []byte("still here"))
	return true
}

// What the engine receives ahead for a handler that does not read is bounded per connection.
func TestReceiveBuffers(t *testing.T) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			received := func(quota int) uint64 {
				// Most arrives in the first turns; how much of it depends on how fast the cancel is, so a small ring.
				e := newEngine(t, proactor.Config{Backend: b, Workers: 1, Buffers: buffers.GroupConfig{Size: 4096, Count: 1024}})
				s := On(e)
				l, err := s.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				ended, got := make(chan error, 1), make(chan *proactor.Conn, 1)
				stay := make(chan bool)
				go func() {
					ended <- s.ServeConfig(ServeConfig{ReceiveBuffers: quota}).Serve(l, func(c Conn) {
						for range 2 { // the second begins to receive ahead
							_, _ = c.Read(make([]byte, 1))
						}
						got <- c.(*TCPConn).conn.Load()
						await(func() { <-stay })
					})
				}()
				c := dialStd(t, l)
				require.NoError(t, c.SetWriteDeadline(time.Now().Add(300*time.Millisecond)))
				_, err = c.Write(large)
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				n := (<-got).Received()
				close(stay)
				l.Close()
				require.ErrorIs(t, <-ended, ErrClosed)
				return n
			}
			// A worker that is kept from the CPU cancels late, and one that is kept from it for long has received little.
			few, many := received(1), received(200)
			for attempt := 0; few >= many && attempt < 20; attempt++ {
				few, many = min(few, received(1)), max(many, received(200))
			}
			t.Log(few, many)
			require.Less(t, few, many)
		})
	}
}

// Values that make no sense are refused, and say what would.
func TestServeConfigRefuses(t *testing.T) {
	l, err := Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for field, c := range map[string]ServeConfig{
		"MaxConns": {MaxConns: -1}, "AcceptRate": {AcceptRate: -1}, "AcceptBurst": {AcceptBurst: 1},
		"FirstBytesTimeout": {FirstBytesTimeout: -1}, "FirstBytes": {FirstBytes: 1}, "ReceiveBuffers": {ReceiveBuffers: -1},
		"WriteQueue": {WriteQueue: -1}, "OnDrain": {OnDrain: func(Conn) {}},
	} {
		require.ErrorContains(t, c.Serve(l, echo), field)
	}
	require.Error(t, Serve(l, nil))
}
