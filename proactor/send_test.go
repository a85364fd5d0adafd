//go:build linux

package proactor

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
)

// What Send accepts before a Close arrives, all of it, in order, and then the end of the stream.
func TestSendKeepsOrderAndIsFlushed(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.WriteQueue = 16 << 20
		e := newEngine(t, cfg)
		c, peer := pair(t, e)
		want := bytesFrom(3, 8<<20)
		for rest := want; len(rest) > 0; {
			n := min(1+len(rest)*7%40_000, len(rest))
			require.NoError(t, c.Send(buffers.Wrap(rest[:n])))
			rest = rest[n:]
		}
		require.NoError(t, c.Close())
		require.Equal(t, ErrClosed, c.Close())
		require.Equal(t, ErrClosed, c.Send(buffers.Wrap([]byte("late"))))
		require.Equal(t, 1, e.Stats().Conns, "it stays until all is sent")
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		eventually(t, "its end", func() bool { return e.Stats().Conns == 0 })
	})
}

// The queue of Send is bounded, refuses without harm, and takes more once the peer has read.
func TestWriteQueueBound(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.WriteQueue = 100_000
		e := newEngine(t, cfg)
		c, peer := pair(t, e)
		large := bytesFrom(5, 16<<20) // alone it may be larger than the bound
		require.NoError(t, c.Send(buffers.Wrap(large)))
		require.Equal(t, ErrWriteQueueFull, c.Send(buffers.Wrap([]byte("x"))))
		_, err := io.ReadFull(peer, make([]byte, len(large)))
		require.NoError(t, err)
		eventually(t, "the queue's end", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.out == nil
		})
		// Exactly the bound fits, while nothing can leave.
		c.mu.Lock()
		require.NoError(t, c.sendable(cfg.WriteQueue))
		c.needOut().queued = 60_000
		require.NoError(t, c.sendable(40_000))
		require.Equal(t, ErrWriteQueueFull, c.sendable(40_001))
		c.restOut()
		c.mu.Unlock()
		require.NoError(t, c.Send(buffers.Wrap([]byte("again"))))
		got := make([]byte, 5)
		_, err = io.ReadFull(peer, got)
		require.NoError(t, err)
		require.Equal(t, "again", string(got))
	})
}

// A closed connection whose peer takes nothing is given up after lingerTime, and its peer reset.
func TestLinger(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		clock := newSkewed()
		cfg.clock = clock
		e := newEngine(t, cfg)
		c, peer := pair(t, e)
		require.NoError(t, c.Send(buffers.Wrap(make([]byte, 64<<20))))
		require.NoError(t, c.Close())
		rouse := func() { // have the workers look at the clock
			for _, l := range e.loops {
				l.backend.Wake()
			}
		}
		clock.extra.Store(int64(lingerTime) / 2)
		rouse()
		echoThrough(t, e)
		require.GreaterOrEqual(t, e.Stats().InFlight, 1, "given up too early")
		clock.extra.Store(int64(lingerTime) + int64(time.Second))
		eventually(t, "its end", func() bool { rouse(); return e.Stats().Conns == 0 })
		_, err := io.Copy(io.Discard, peer)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

// Leases that Send takes over are released whatever becomes of them.
func TestSendReleases(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		pool, err := buffers.NewPool(buffers.PoolConfig{})
		require.NoError(t, err)
		lease := func(n int) buffers.Lease {
			l, err := pool.Get(n)
			require.NoError(t, err)
			return l
		}
		c, peer := pair(t, e)
		full := false
		for !full {
			full = errors.Is(c.Send(lease(64<<10)), ErrWriteQueueFull)
		}
		reset(t, peer)
		eventually(t, "the error", func() bool { return c.Send(lease(1)) != nil && !errors.Is(c.Send(lease(1)), ErrWriteQueueFull) })
		require.NoError(t, c.Close())
		require.Equal(t, ErrClosed, c.Send(lease(1)))
		eventually(t, "its end", func() bool { return e.Stats().Conns == 0 })
		require.NoError(t, pool.Close(), "leases are out")
	})
}

// Debug mode panics when a released lease is sent. That must come before anything is locked: the connection, and with it its
// worker, would hang instead of telling.
func TestSendOfAReleasedLease(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		was := buffers.SetDebug(true)
		defer buffers.SetDebug(was)
		logged := make(chan string, 1)
		cfg.Workers, cfg.Log = 1, func(s string) { logged <- s }
		e := newEngine(t, cfg)
		c, peer := pair(t, e)
		l := buffers.Wrap([]byte("gone"))
		l.Release()
		require.Panics(t, func() { _ = c.Send(l) })
		require.Panics(t, func() { _ = c.WriteLease(l) })
		require.Panics(t, func() { _ = c.WriteLeases(l) })
		require.Panics(t, func() { Broadcast(l, []*Conn{c}, nil) })
		require.NoError(t, c.Send(buffers.Wrap([]byte("well"))))
		require.NoError(t, c.Close())
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.Equal(t, "well", string(got))

		d, peer := pair(t, e)
		ended := make(chan error, 1)
		e.Handle(d, &Handler{
			OnData: func(c *Conn, l buffers.Lease) {
				l.Release()
				_ = c.Send(l)
			},
			OnClose: func(_ *Conn, err error) { ended <- err },
		})
		_, err = peer.Write([]byte("x"))
		require.NoError(t, err)
		require.Contains(t, within(t, logged), "used after its release")
		require.Equal(t, ErrClosed, within(t, ended))
	})
}
