//go:build linux

package proactor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
)

// face serves connections in one of the engine's ways.
type face struct {
	name  string
	serve func(*testing.T, *Engine, *net.TCPListener)
}

func faces() []face {
	return []face{
		{"callbacks", func(t *testing.T, e *Engine, l *net.TCPListener) {
			a, err := e.Serve(l, Handler{OnData: func(c *Conn, l buffers.Lease) {
				if c.Send(l) != nil {
					_ = c.Close()
				}
			}})
			require.NoError(t, err)
			t.Cleanup(func() { _ = a.Close() })
		}},
		{"coroutines", func(t *testing.T, e *Engine, l *net.TCPListener) { serveEcho(t, e, l, false) }},
		{"goroutines", func(t *testing.T, e *Engine, l *net.TCPListener) { serveEcho(t, e, l, true) }},
	}
}

func serveEcho(t *testing.T, e *Engine, l *net.TCPListener, goroutine bool) {
	a, err := e.Accept(l, func(c *Conn) {
		err := c.Start(func() {
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
		}, func(error) { _ = c.Close() }, goroutine)
		if err != nil {
			_ = c.Close()
		}
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close() })
}

func onEachFace(t *testing.T, f func(t *testing.T, c Config, face face)) {
	onEachBackend(t, func(t *testing.T, c Config) {
		for _, x := range faces() {
			t.Run(x.name, func(t *testing.T) { f(t, c, x) })
		}
	})
}

// rounds has all clients send before any reads, so that the server sees whole batches.
func rounds(t testing.TB, cs []net.Conn, n int) {
	msg, got := make([]byte, 64), make([]byte, 64)
	for range n {
		for _, c := range cs {
			_, err := c.Write(msg)
			require.NoError(t, err)
		}
		for _, c := range cs {
			_, err := io.ReadFull(c, got)
			require.NoError(t, err)
		}
	}
}

// Sixty-four connections share system calls: fewer than one per five requests. With one P the client has sent to all
// of them before the worker runs.
func TestSystemCallsPerRequest(t *testing.T) {
	skipWithout(t, IOUring)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, x := range faces()[:2] {
		t.Run(x.name, func(t *testing.T) {
			e := newEngine(t, Config{Backend: IOUring, Workers: 1, Log: func(string) {}})
			l := listen(t)
			x.serve(t, e, l)
			var cs []net.Conn
			for range 64 {
				cs = append(cs, dial(t, l))
			}
			rounds(t, cs, 5)
			const n = 100
			before := e.Stats().Backend.Syscalls
			rounds(t, cs, n)
			calls := e.Stats().Backend.Syscalls - before
			t.Logf("%.3f system calls per request", float64(calls)/(64*n))
			require.Less(t, calls, uint64(64*n/5))
			closeAll(cs)
		})
	}
}

func closeAll(cs []net.Conn) {
	for _, c := range cs {
		_ = c.Close()
	}
}

func TestNoAllocationPerEcho(t *testing.T) {
	onEachFace(t, func(t *testing.T, cfg Config, x face) {
		if raceEnabled {
			t.Skip("the race detector allocates")
		}
		e := newEngine(t, cfg)
		l := listen(t)
		x.serve(t, e, l)
		c := dial(t, l)
		rounds(t, []net.Conn{c}, 50)
		msg := make([]byte, 64)
		require.Zero(t, testing.AllocsPerRun(300, func() {
			_, _ = c.Write(msg)
			_, _ = io.ReadFull(c, msg)
		}))
		_ = c.Close()
	})
}

// Connections are spread evenly, whatever their number.
func TestEvenSpread(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.Workers = 4
		e := newEngine(t, cfg)
		l := listen(t)
		faces()[0].serve(t, e, l)
		var cs []net.Conn
		for range 42 {
			c := dial(t, l)
			rounds(t, []net.Conn{c}, 1)
			cs = append(cs, c)
		}
		for _, w := range e.loops {
			n := len(w.all())
			require.True(t, n >= 10 && n <= 11, "a worker has %d of 42", n)
		}
		closeAll(cs)
	})
}

// exchange sends random bytes in random pieces over each connection at once, and checks the echo to the byte.
func exchange(t *testing.T, l net.Listener, conns, bytesEach int) {
	var wg sync.WaitGroup
	for i := range conns {
		c := dial(t, l)
		sent := make([]byte, bytesEach)
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		for j := range sent {
			sent[j] = byte(rng.Uint32())
		}
		wg.Add(2)
		go func() {
			defer wg.Done()
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+rng.IntN(5000))
				if _, err := c.Write(rest[:n]); err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
			}
		}()
		go func() {
			defer wg.Done()
			got := make([]byte, bytesEach)
			_ = c.SetReadDeadline(time.Now().Add(60 * time.Second))
			if _, err := io.ReadFull(c, got); err != nil {
				t.Error(err)
			} else if !bytes.Equal(sent, got) {
				t.Error("the echo differs")
			}
			_ = c.Close()
		}()
	}
	wg.Wait()
}

// Everything is scarce: one buffer, the smallest queues, a quota of one. Nothing is lost, nobody waits for ever.
func TestScarcity(t *testing.T) {
	for name, scarce := range map[string]func(*Config){
		"one buffer":      func(c *Config) { c.Buffers = buffers.GroupConfig{Count: 1, Size: 512} },
		"few buffers":     func(c *Config) { c.Buffers = buffers.GroupConfig{Count: 4, Size: 64}; c.ReceiveQuota = 1 },
		"smallest queues": func(c *Config) { c.RingEntries, c.RingCQEntries = 1, 2 },
		"one task a turn": func(c *Config) { c.TaskBudget = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			onEachFace(t, func(t *testing.T, cfg Config, x face) {
				scarce(&cfg)
				cfg.WriteQueue = 16 << 20
				e := newEngine(t, cfg)
				l := listen(t)
				x.serve(t, e, l)
				exchange(t, l, 12, 60_000)
			})
		})
	}
}

// A callback that panics costs its own connection only, and OnClose is called once all the same.
func TestCallbackPanics(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		var logged atomic.Int32
		cfg.Log = func(string) { logged.Add(1) }
		e := newEngine(t, cfg)
		l := listen(t)
		closes := make(chan error, 10)
		a, err := e.Serve(l, Handler{
			OnData: func(c *Conn, d buffers.Lease) {
				bad := d.Bytes()[0] == '!'
				if bad {
					d.Release()
					panic("on purpose")
				}
				_ = c.Send(d)
			},
			OnClose: func(_ *Conn, err error) { closes <- err },
		})
		require.NoError(t, err)
		good, bad := dial(t, l), dial(t, l)
		echoOnce(t, good, []byte("before"))
		_, err = bad.Write([]byte("!"))
		require.NoError(t, err)
		_, err = bad.Read(make([]byte, 1))
		require.Error(t, err)
		require.ErrorIs(t, <-closes, ErrClosed)
		echoOnce(t, good, []byte("after"))
		_ = good.Close()
		require.Equal(t, io.EOF, <-closes)
		require.NoError(t, a.Close())
		require.EqualValues(t, 1, logged.Load())
		require.Empty(t, closes)
	})
}

// Close inside OnData ends the callbacks: what arrives later is not told of, OnClose is, once.
func TestCloseInsideCallback(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		l := listen(t)
		var data atomic.Int32
		closes := make(chan error, 10)
		_, err := e.Serve(l, Handler{
			OnData: func(c *Conn, d buffers.Lease) {
				data.Add(1)
				d.Release()
				require.NoError(t, c.Close())
				require.ErrorIs(t, c.Close(), ErrClosed)
				require.ErrorIs(t, c.Send(buffers.Wrap([]byte("late"))), ErrClosed)
			},
			OnClose: func(_ *Conn, err error) { closes <- err },
		})
		require.NoError(t, err)
		c := dial(t, l)
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		require.ErrorIs(t, <-closes, ErrClosed)
		_, err = io.Copy(io.Discard, c)
		_ = err // end of file or a reset
		require.EqualValues(t, 1, data.Load())
		require.Empty(t, closes)
	})
}

// Send keeps at most the bound, refuses the rest without losing a lease, and Close still sends what was accepted.
func TestSendIsBoundedAndFlushed(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.WriteQueue = 8 << 20
		e := newEngine(t, cfg)
		l := listen(t)
		accepted := make(chan int, 1)
		_, err := e.Serve(l, Handler{OnData: func(c *Conn, d buffers.Lease) {
			d.Release()
			n, piece := 0, bytes.Repeat([]byte("y"), 1<<20)
			for {
				err := c.Send(buffers.Wrap(piece))
				if err != nil {
					require.ErrorIs(t, err, ErrWriteQueueFull)
					break
				}
				n += len(piece)
			}
			_ = c.Close()
			accepted <- n
		}})
		require.NoError(t, err)
		c := dial(t, l)
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		want := <-accepted
		require.GreaterOrEqual(t, want, 8<<20)
		got, err := io.Copy(io.Discard, c)
		require.NoError(t, err)
		require.EqualValues(t, want, got)
	})
}

// A shutdown whose context has ended closes everything, whatever it waits for.
func TestForcedShutdown(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.grace = hangs
		e, err := New(cfg)
		require.NoError(t, err)
		l := listen(t)
		var waiting sync.WaitGroup
		waiting.Add(20)
		more := make([]byte, 64<<20) // than anybody takes
		ended := make(chan error, 20)
		_, err = e.Accept(l, func(c *Conn) {
			_ = c.Start(func() {
				waiting.Done()
				_, err := c.Read(make([]byte, 1))
				if err == nil {
					_, err = c.Write(more)
				}
				ended <- err
			}, func(error) { _ = c.Close() }, false)
		})
		require.NoError(t, err)
		var cs []net.Conn
		for i := range 20 {
			c := dial(t, l)
			cs = append(cs, c)
			if i%2 == 0 {
				_, err := c.Write([]byte("x"))
				require.NoError(t, err)
			}
		}
		waiting.Wait()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		require.ErrorIs(t, e.Shutdown(ctx), context.Canceled)
		for range 20 {
			require.ErrorIs(t, <-ended, ErrClosed)
		}
		s := e.Stats()
		require.Zero(t, s.Conns)
		require.Zero(t, s.InFlight)
		_, err = e.NewConn(0)
		require.ErrorIs(t, err, ErrShutdown)
		closeAll(cs)
	})
}

// A deadline that is reset while a Read waits counts; one that passed fails at once and can be taken back.
func TestDeadlines(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		l := listen(t)
		conns := make(chan *Conn, 1)
		_, err := e.Accept(l, func(c *Conn) { conns <- c })
		require.NoError(t, err)
		peer := dial(t, l)
		c := <-conns
		buf := make([]byte, 8)
		timeout := func(err error) {
			var te interface{ Timeout() bool }
			require.True(t, errors.As(err, &te) && te.Timeout(), "%v", err)
		}
		require.NoError(t, c.SetDeadline(time.Unix(1, 0)))
		_, err = c.Read(buf)
		timeout(err)
		_, err = c.Write(buf)
		timeout(err)
		require.NoError(t, c.SetDeadline(time.Time{}))
		failed := make(chan error)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
		go func() {
			_, err := c.Read(buf)
			failed <- err
		}()
		require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Millisecond)))
		timeout(<-failed)
		require.NoError(t, c.SetDeadline(time.Time{}))
		// A Write that nobody takes ends at its deadline; the next one is not touched by that.
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
		n, err := c.Write(make([]byte, 64<<20))
		timeout(err)
		require.Less(t, n, 64<<20)
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		go func() { _, _ = io.CopyN(io.Discard, peer, int64(n)+4) }()
		m, err := c.Write([]byte("more"))
		require.NoError(t, err)
		require.Equal(t, 4, m)
		require.NoError(t, c.Close())
	})
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]Config{
		"ReceiveQuota": {ReceiveQuota: -1}, "WriteQueue": {WriteQueue: -1}, "IdleAfter": {IdleAfter: -1},
		"Backend": {Backend: 9}, "Workers": {Workers: -1}, "StallAfter": {StallAfter: time.Nanosecond},
		"TaskBudget": {TaskBudget: -1}, "Size": {Buffers: buffers.GroupConfig{Size: -1}},
	} {
		_, err := New(c)
		require.ErrorContains(t, err, name)
	}
}

// A slip in what only rings need is refused as well: it is no reason to take epoll, and the kernel must not cut it in silence.
func TestRingSizesAreChecked(t *testing.T) {
	for _, b := range []Backend{Auto, IOUring, Epoll} {
		for name, c := range map[string]Config{
			"RingEntries":   {RingEntries: 32769},
			"RingCQEntries": {RingEntries: 64, RingCQEntries: 63},
		} {
			c.Backend = b
			_, err := New(c)
			require.ErrorContains(t, err, "Config."+name, b)
		}
		_, err := New(Config{Backend: b, RingCQEntries: 255})
		require.ErrorContains(t, err, "RingCQEntries is 255", b)
		_, err = New(Config{Backend: b, RingCQEntries: 65537})
		require.ErrorContains(t, err, "RingCQEntries is 65537", b)
	}
}
