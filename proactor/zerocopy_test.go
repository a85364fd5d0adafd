//go:build linux

package proactor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
)

// sharing is a connection of e that sends all leases without a copy where that can be done, with its peer.
// window, if not 0, bounds what the peer takes without reading; the rest stays with the sender.
func sharing(t *testing.T, e *Engine, window int) (*Conn, *net.TCPConn) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // which cannot
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	got := make(chan *Conn, 1)
	a, err := e.Accept(l.(*net.TCPListener), func(c *Conn) { got <- c })
	require.NoError(t, err)
	defer a.Close()
	dialer := net.Dialer{Control: func(_, _ string, s syscall.RawConn) error {
		if window == 0 {
			return nil
		}
		return s.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, window) })
	}}
	peer, err := dialer.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = peer.Close() })
	c := within(t, got)
	t.Cleanup(func() { _ = c.Close() })
	c.SetZeroCopy(1)
	return c, peer.(*net.TCPConn)
}

// Leases that Send takes go without a copy, in order among those that are copied, and come back only when the kernel has let go.
func TestSendZeroCopy(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.WriteQueue = 64 << 20
		cfg.FixedSends = true
		e := newEngine(t, cfg)
		c, peer := sharing(t, e, 0)
		c.SetZeroCopy(1000)
		want := bytesFrom(9, 4<<20)
		for rest, i := want, 0; len(rest) > 0; i++ {
			n := min([]int{100, 999, 1000, 30_000, 200_000}[i%5], len(rest))
			l, err := e.Lease(n)
			if errors.Is(err, buffers.ErrExhausted) {
				l = buffers.Wrap(make([]byte, n))
			} else {
				require.NoError(t, err)
			}
			copy(l.Bytes(), rest)
			require.NoError(t, c.Send(l))
			rest = rest[n:]
		}
		got := make([]byte, len(want))
		_, err := io.ReadFull(peer, got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		eventually(t, "the leases' return", func() bool { return e.Stats().Leases.Out == 0 })
		if cfg.Backend == IOUring {
			require.GreaterOrEqual(t, e.Stats().ZeroCopySends, uint64(40))
			if s := e.Stats().Backend; s.FixedRefused == 0 || os.Geteuid() == 0 { // else RLIMIT_MEMLOCK allows no more
				require.GreaterOrEqual(t, s.Fixed, uint64(40))
			}
		} else {
			require.Zero(t, e.Stats().ZeroCopySends)
		}
		require.NoError(t, c.WriteLease(buffers.Wrap(want[:5000])))
		_, err = io.ReadFull(peer, got[:5000])
		require.NoError(t, err)
		require.Equal(t, want[:5000], got[:5000])
	})
}

// unread has c share memory with a kernel that cannot send it, as the peer reads nothing; nil where nothing is shared.
func unread(t *testing.T, e *Engine, c *Conn) []buffers.Lease {
	var held []buffers.Lease
	for range 16 {
		l, err := e.Lease(1 << 20)
		require.NoError(t, err)
		for i := range l.Bytes() {
			l.Bytes()[i] = 'x'
		}
		if c.Send(l) != nil {
			break
		}
		held = append(held, l)
	}
	eventually(t, "a full socket", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.sendOn
	})
	return held
}

// A connection that is closed while the kernel reads from its memory sends all of it, then its end, and keeps neither memory nor
// descriptor longer than that.
func TestCloseSharesUntilSent(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.WriteQueue = 64 << 20
		e := newEngine(t, cfg)
		c, peer := sharing(t, e, 0)
		held := unread(t, e, c)
		require.NoError(t, c.Close())
		require.NotZero(t, e.Stats().Leases.Out)
		n, err := io.Copy(io.Discard, peer)
		require.NoError(t, err, "the end of the stream, no reset")
		require.EqualValues(t, len(held)<<20, n)
		eventually(t, "its end", func() bool { return e.Stats().Conns == 0 && e.Stats().Leases.Out == 0 })
	})
}

// One whose peer takes nothing is given up, though the kernel has accepted all: the peer is reset, and the memory free.
func TestCloseSharesNotForEver(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		clock := newSkewed()
		cfg.clock = clock
		e := newEngine(t, cfg)
		c, peer := sharing(t, e, 4096)
		require.NoError(t, c.Control(func(fd int) error {
			return syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1<<20)
		}))
		l, err := e.Lease(50_000)
		require.NoError(t, err)
		require.NoError(t, c.Send(l))
		eventually(t, "its acceptance", c.locked(func() bool { return c.out == nil }))
		closed := make(chan error, 1)
		go func() { closed <- c.CloseWait() }()
		require.NoError(t, within(t, closed))
		if cfg.Backend == IOUring {
			require.Equal(t, []int{1, 1}, []int{e.Stats().Conns, e.Stats().Leases.Out}, "the kernel still reads from the memory")
		}
		rouse := func() {
			for _, l := range e.loops {
				l.backend.Wake()
			}
		}
		clock.extra.Store(int64(lingerTime) + int64(time.Second))
		eventually(t, "its end", func() bool { rouse(); return e.Stats().Conns == 0 && e.Stats().Leases.Out == 0 })
		n, err := io.Copy(io.Discard, peer)
		if cfg.Backend == IOUring {
			require.ErrorIs(t, err, syscall.ECONNRESET)
		} else { // copied, and so the kernel's alone
			require.NoError(t, err)
			require.EqualValues(t, 50_000, n)
		}
	})
}

// A shutdown by force ends with the memory that is shared given back, and the backend has nothing in flight.
func TestShutdownWhileSharing(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.WriteQueue, cfg.grace = 64<<20, lingerTime-forcedLinger
		e, err := New(cfg)
		require.NoError(t, err)
		c, _ := sharing(t, e, 0)
		unread(t, e, c)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		require.ErrorIs(t, e.Shutdown(ctx), context.Canceled)
		require.Zero(t, e.Stats().Leases.Out)
		require.Zero(t, e.Stats().InFlight)
		require.Zero(t, e.Stats().Leases.MappedBytes)
	})
}

// A peer that resets the connection frees the memory.
func TestResetWhileSharing(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.WriteQueue = 64 << 20
		e := newEngine(t, cfg)
		c, peer := sharing(t, e, 0)
		unread(t, e, c)
		reset(t, peer)
		eventually(t, "the leases' return", func() bool { return e.Stats().Leases.Out == 0 })
		require.NoError(t, c.Close())
		eventually(t, "its end", func() bool { return e.Stats().Conns == 0 })
	})
}
