//go:build linux

package proactor

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
)

// scribbled makes leases of pieces of p, n of them with one of no bytes in between. Each overwrites its memory as soon as it is
// released, and counts that.
func scribbled(p []byte, n int, released *atomic.Int32) []buffers.Lease {
	all := []buffers.Lease{buffers.WrapFunc(nil, func() { released.Add(1) })}
	for size := (len(p) + n - 1) / n; len(p) > 0; p = p[min(size, len(p)):] {
		piece := bytes.Clone(p[:min(size, len(p))])
		all = append(all, buffers.WrapFunc(piece, func() {
			clear(piece)
			released.Add(1)
		}))
	}
	return all
}

// Leases that are written together arrive whole and in order, with a copy and without, however many and long they are; and
// none comes back while the kernel may still read it, though the peer takes its time.
func TestWriteLeases(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		for _, from := range []int{0, 1, 10_000} {
			c, peer := sharing(t, e, 64<<10) // so much of it waits in the socket
			c.SetZeroCopy(from)
			before := e.Stats().ZeroCopySends
			sizes := []struct{ bytes, pieces int }{{1, 1}, {9_999, 3}, {10_000, 7}, {300_000, 1500}, {700_000, 2}, {0, 1}}
			var released atomic.Int32
			var want []byte
			go func() {
				for i, s := range sizes {
					if err := c.WriteLeases(scribbled(bytesFrom(i, s.bytes), s.pieces, &released)...); err != nil {
						t.Error(err)
					}
				}
				_ = c.CloseWrite()
			}()
			leases := 0
			for i, s := range sizes {
				want = append(want, bytesFrom(i, s.bytes)...)
				leases += len(scribbled(bytesFrom(i, s.bytes), s.pieces, new(atomic.Int32)))
			}
			got, err := io.ReadAll(peer)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "content differs")
			eventually(t, "the leases", func() bool { return int(released.Load()) == leases })
			sent := e.Stats().ZeroCopySends - before
			switch {
			case cfg.Backend == Epoll || from == 0:
				require.Zero(t, sent)
			case from == 1:
				require.GreaterOrEqual(t, sent, uint64(6), "the one of 1,500 pieces takes two")
			default:
				require.GreaterOrEqual(t, sent, uint64(4))
			}
		}
	})
}

// What the socket cannot send without a copy is copied, piece by piece, and nothing is lost or sent twice.
func TestWriteLeasesRefused(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		require.NoError(t, err)
		f := os.NewFile(uintptr(fds[1]), "peer")
		peer, err := net.FileConn(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		defer peer.Close()
		c, err := e.NewConn(fds[0])
		require.NoError(t, err)
		c.SetZeroCopy(1)
		want := bytesFrom(3, 1<<20)
		var released atomic.Int32
		ls := scribbled(want, 5, &released)
		wrote := make(chan error, 2)
		go func() {
			wrote <- c.WriteLeases(ls...)
			wrote <- c.WriteLeases(buffers.Wrap([]byte("again")))
			_ = c.Close()
		}()
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.Equal(t, "again", string(got[len(want):]))
		require.True(t, bytes.Equal(want, got[:len(want)]), "content differs")
		require.NoError(t, within(t, wrote))
		require.NoError(t, within(t, wrote))
		require.EqualValues(t, len(ls), released.Load())
		require.Zero(t, e.Stats().ZeroCopySends)
	})
}

// Errors of WriteLeases name writev and those of Write name write, whichever way the bytes go, and whoever has met the
// reset first.
func TestWriteLeasesErrors(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		for _, from := range []int{0, 1} {
			for _, ahead := range []bool{false, true} {
				c, peer := pair(t, e)
				c.SetZeroCopy(from)
				for range 2 { // the second Read arms the receive
					if ahead {
						_, err := peer.Write([]byte("x"))
						require.NoError(t, err)
						_, err = c.Read(make([]byte, 1))
						require.NoError(t, err)
					}
				}
				reset(t, peer)
				if ahead {
					eventually(t, "the receive's error", c.locked(func() bool { return c.rerr() != nil }))
				}
				leases := func() error { return c.WriteLeases(buffers.Wrap([]byte("a")), buffers.Wrap([]byte("b"))) }
				var err error
				eventually(t, "an error", func() bool { err = leases(); return err != nil })
				of := func(err error) string {
					var call *os.SyscallError
					require.ErrorAs(t, err, &call)
					return call.Syscall
				}
				require.Equal(t, "writev", of(err))
				require.Equal(t, "writev", of(leases()), "once more")
				_, err = c.Write([]byte("c"))
				require.Equal(t, "write", of(err))
			}
		}
	})
}

// A peer that takes nothing: the deadline and Close end a WriteLeases in the middle of its pieces, the memory comes back when the
// connection has been given up, and not before.
func TestWriteLeasesStalled(t *testing.T) {
	for name, end := range map[string]func(c *Conn) error{
		"deadline": func(c *Conn) error { _ = c.SetWriteDeadline(time.Now()); return os.ErrDeadlineExceeded },
		"close":    func(c *Conn) error { _ = c.Close(); return ErrClosed },
	} {
		t.Run(name, func(t *testing.T) {
			onEachBackend(t, func(t *testing.T, cfg Config) {
				clock := newSkewed()
				cfg.clock = clock
				e := newEngine(t, cfg)
				c, peer := sharing(t, e, 4096)
				var released atomic.Int32
				ls := scribbled(bytesFrom(4, stuck), 16, &released)
				wrote := make(chan error, 1)
				go func() { wrote <- c.WriteLeases(ls...) }()
				eventually(t, "a full socket", c.locked(func() bool { return c.sendOn || c.polled() }))
				require.Zero(t, released.Load())
				want := end(c)
				require.ErrorIs(t, within(t, wrote), want)
				if cfg.Backend == IOUring {
					require.Zero(t, released.Load(), "the kernel still reads from them")
					require.Equal(t, 1, e.Stats().Conns)
				} else {
					require.EqualValues(t, len(ls), released.Load())
				}
				_ = c.Close()
				clock.extra.Store(int64(lingerTime) + int64(time.Second))
				eventually(t, "the memory", func() bool {
					for _, l := range e.loops {
						l.backend.Wake()
					}
					return int(released.Load()) == len(ls) && e.Stats().Conns == 0
				})
				n, err := io.Copy(io.Discard, peer)
				require.Less(t, n, int64(stuck))
				if cfg.Backend == IOUring {
					require.ErrorIs(t, err, syscall.ECONNRESET)
				}
			})
		})
	}
}
