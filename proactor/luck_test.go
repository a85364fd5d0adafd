//go:build linux

package proactor

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/leaktest"
)

// Rescued counts receives that found all buffers taken, and nothing else.
func TestStatsRescued(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.Workers, cfg.Buffers = 1, buffers.GroupConfig{Count: 1, Size: 512}
		e := newEngine(t, cfg)
		holder, holderPeer := pair(t, e)
		other, otherPeer := pair(t, e)
		echo := func(c *Conn, peer net.Conn, text string) {
			_, err := peer.Write([]byte(text))
			require.NoError(t, err)
			got := make([]byte, 64)
			n, err := c.Read(got)
			require.NoError(t, err)
			require.Equal(t, text, string(got[:n]))
		}
		echo(holder, holderPeer, "the first Read needs no buffer")
		echo(other, otherPeer, "the first Read needs no buffer")
		echo(holder, holderPeer, "there is a buffer")
		require.Zero(t, e.Stats().Rescued)

		_, err := holderPeer.Write([]byte("kept"))
		require.NoError(t, err)
		l, err := holder.ReadLease()
		require.NoError(t, err)
		echo(other, otherPeer, "without a buffer")
		require.NotZero(t, e.Stats().Rescued)
		require.NotZero(t, e.Stats().Backend.NoBuffers)
		require.Equal(t, "kept", string(l.Bytes()))
		l.Release()
	})
}

// Overflows counts when the completion queue was full, and what did not fit comes all the same. The worker is kept from
// reaping until more has arrived than the queue holds.
func TestStatsOverflows(t *testing.T) {
	skipWithout(t, IOUring)
	e := newEngine(t, Config{Backend: IOUring, Workers: 1, RingEntries: 1, RingCQEntries: 2, Log: func(string) {}})
	var held sync.Mutex
	var got atomic.Int64
	l := serve(t, e, Handler{OnData: func(_ *Conn, d buffers.Lease) {
		got.Add(int64(d.Len()))
		d.Release()
		held.Lock() // waits while the test holds it
		defer held.Unlock()
	}})
	const conns = 32
	var cs []net.Conn
	for range conns {
		cs = append(cs, dial(t, l))
	}
	eventually(t, "all connections", func() bool { return e.Stats().Conns == conns+1 })
	sent := int64(0)
	for round := 0; e.Stats().Backend.Overflows == 0; round++ {
		require.Less(t, round, 1000, "the queue of two never overflows")
		held.Lock()
		for _, c := range cs {
			_, err := c.Write([]byte("x"))
			require.NoError(t, err)
			sent++
		}
		held.Unlock()
		eventually(t, "every byte", func() bool { return got.Load() == sent })
	}
	closeAll(cs)
}

// Steals counts tasks that another worker has run. The coroutines of one worker keep it busy until another has helped.
func TestStatsSteals(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.Workers = 2
		e := newEngine(t, cfg)
		require.Zero(t, e.Stats().Executor.Steals)
		w := e.Executor().Workers()[0]
		var elsewhere atomic.Bool
		var running sync.WaitGroup
		const n = 64
		running.Add(n)
		for range n {
			require.NoError(t, w.Go(func() {
				defer running.Done()
				for end := time.Now().Add(hangs); !elsewhere.Load() && time.Now().Before(end); {
					for range 1000 {
						runtime.Gosched() // a task that is worth taking
					}
					if e.Stats().Executor.Steals > 0 {
						elsewhere.Store(true)
					}
					executor.Yield()
				}
			}))
		}
		running.Wait()
		require.True(t, elsewhere.Load(), "nobody has helped")
		require.NotZero(t, e.Stats().Executor.Steals)
	})
}

// A worker whose goroutine the runtime moves to another thread, in the middle of its callbacks, moves the multishots
// there too, counts that, and loses nothing.
func TestWorkerMigrates(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("needs two threads that run Go code at the same time")
	}
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.Workers = 1
		e := newEngine(t, cfg)
		var moved atomic.Int64
		l := serve(t, e, Handler{OnData: func(c *Conn, d buffers.Lease) {
			if d.Bytes()[0] == 'm' && moveThread() {
				moved.Add(1)
			}
			_ = c.Send(d)
		}})
		var cs []net.Conn
		for range 8 {
			cs = append(cs, dial(t, l))
		}
		// Rounds of busy traffic with a move at the beginning of each, until one was noticed: whether the worker keeps its thread
		// through the next wait is the runtime's.
		enough := func() bool { return moved.Load() > 0 && (cfg.Backend != IOUring || e.Stats().Backend.Rearmed > 0) }
		for end := time.Now().Add(hangs); !enough(); {
			require.True(t, time.Now().Before(end), "moved %d times, re-armed %d", moved.Load(), e.Stats().Backend.Rearmed)
			for i := range 20 {
				for j, c := range cs {
					what := byte('-')
					if i+j == 0 {
						what = 'm'
					}
					_, err := c.Write([]byte{what, byte(i), byte(j)})
					require.NoError(t, err)
				}
				for j, c := range cs {
					var got [3]byte
					_, err := io.ReadFull(c, got[:])
					require.NoError(t, err)
					require.Equal(t, [2]byte{byte(i), byte(j)}, [2]byte(got[1:]))
				}
			}
		}
		if cfg.Backend == Epoll {
			require.Zero(t, e.Stats().Backend.Rearmed)
		}
		closeAll(cs)
		eventually(t, "the connections' end", func() bool { return e.Stats().Conns == 1 })
		require.LessOrEqual(t, e.Stats().InFlight, 1, "only the accept")
	})
}

// moveThread has the calling goroutine go on on another thread, if the runtime will have it so: who wakes it keeps
// another P busy until the moment that it waits, so that it becomes ready there.
func moveThread() bool {
	from := unix.Gettid()
	for range 100 {
		var waits atomic.Bool
		wake := make(chan struct{})
		go func() {
			for !waits.Load() {
			}
			wake <- struct{}{}
		}()
		runtime.Gosched()
		waits.Store(true)
		<-wake
		if unix.Gettid() != from {
			return true
		}
	}
	return false
}

// Twenty thousand connections come and go on the callback face: each is told of once, closed once, and leaves no
// descriptor.
func TestCallbackChurn(t *testing.T) {
	total := 20_000
	if testing.Short() || raceEnabled {
		total = 2_000
	}
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		var opened, closed atomic.Int64
		l := serve(t, e, Handler{
			OnOpen: func(*Conn) { opened.Add(1) },
			OnData: func(c *Conn, d buffers.Lease) {
				bye := d.Bytes()[0]%2 == 0
				if c.Send(d) != nil || bye {
					_ = c.Close()
				}
			},
			OnClose: func(*Conn, error) { closed.Add(1) },
		})
		first := dial(t, l)
		echoOnce(t, first, []byte("\x01"))
		before := leaktest.Sockets()
		var wg sync.WaitGroup
		const clients = 4
		for range clients {
			wg.Go(func() {
				for i := range total / clients {
					c, err := net.Dial("tcp", l.Addr().String())
					if err != nil {
						t.Error(err)
						return
					}
					if i%3 != 0 {
						_, _ = c.Write([]byte{byte(i / 3)})
						_, _ = c.Read(make([]byte, 1))
					}
					_ = c.(*net.TCPConn).SetLinger(0) // by reset, so that no port stays in TIME_WAIT
					_ = c.Close()
				}
			})
		}
		wg.Wait()
		eventually(t, "the end of all", func() bool { return e.Stats().Conns == 2 && leaktest.Sockets() <= before })
		require.Equal(t, opened.Load()-1, closed.Load())
		// A connection that was reset before it was accepted may never have been seen.
		require.Greater(t, opened.Load(), int64(total/2))
		_ = first.Close()
		eventually(t, "the last", func() bool { return e.Stats().Conns == 1 })
		for _, b := range e.Stats().Buffers {
			require.Zero(t, b.Out)
			require.Zero(t, b.DoubleReleases)
		}
	})
}

// A forced Shutdown ends connections whose peer takes nothing more, on every face: who waits in a Write is told, what Send
// has queued is given up when its time is over, and no lease is left.
func TestForcedShutdownWithStuckSends(t *testing.T) {
	for _, x := range []struct {
		name  string
		serve func(c *Conn, ended chan<- error) error
	}{
		{"callbacks", func(c *Conn, ended chan<- error) error {
			c.loop.engine.Handle(c, &Handler{
				OnOpen:  func(c *Conn) { stuff(c) },
				OnData:  func(_ *Conn, d buffers.Lease) { d.Release() },
				OnClose: func(_ *Conn, err error) { ended <- err },
			})
			return nil
		}},
		{"coroutines", func(c *Conn, ended chan<- error) error {
			return c.Start(func() { ended <- writeForEver(c) }, func(error) { _ = c.Close() }, false)
		}},
		{"goroutines", func(c *Conn, ended chan<- error) error {
			return c.Start(func() { ended <- writeForEver(c) }, func(error) { _ = c.Close() }, true)
		}},
		{"a coroutine's Send", func(c *Conn, ended chan<- error) error {
			return c.Start(func() {
				stuff(c)
				_, err := c.Read(make([]byte, 1))
				ended <- err
			}, func(error) { _ = c.Close() }, false)
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			onEachBackend(t, func(t *testing.T, cfg Config) {
				cfg.WriteQueue = 64 << 20             // more than the sockets take
				cfg.grace = lingerTime - forcedLinger // long, but too short for who lingers as if nothing was forced
				e, err := New(cfg)
				require.NoError(t, err)
				l := listen(t)
				const conns = 4
				ended, begun := make(chan error, conns), make(chan error, conns)
				_, err = e.Accept(l, func(c *Conn) { begun <- x.serve(c, ended) })
				require.NoError(t, err)
				var cs []net.Conn
				for range conns {
					cs = append(cs, dial(t, l))
					require.NoError(t, within(t, begun))
				}
				// Stuck: a send is in flight on each, which the peer's window holds up.
				eventually(t, "sends in flight", func() bool {
					n := 0
					for _, w := range e.loops {
						for _, c := range w.all() {
							c.mu.Lock()
							if c.sendOn || c.outPending() || len(c.outBytes()) > 0 {
								n++
							}
							c.mu.Unlock()
						}
					}
					return n == conns
				})
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				err = e.Shutdown(ctx)
				require.ErrorIs(t, err, context.Canceled)
				require.NotErrorIs(t, err, context.DeadlineExceeded, "connections outlived the shutdown")
				for range conns {
					require.ErrorIs(t, within(t, ended), ErrClosed)
				}
				s := e.Stats()
				require.Zero(t, s.Conns)
				require.Zero(t, s.InFlight)
				for _, b := range s.Buffers {
					require.Zero(t, b.Out)
				}
				closeAll(cs)
			})
		})
	}
}

// stuff fills the connection's Send queue.
func stuff(c *Conn) {
	piece := make([]byte, 1<<20)
	for c.Send(buffers.Wrap(piece)) == nil {
	}
}

func writeForEver(c *Conn) error {
	for {
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
	}
}
