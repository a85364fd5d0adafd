//go:build linux

package net

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

// Leases sent without a copy arrive whole, and come back to their pool, which overwrites them, only when the kernel has let
// go of them.
func TestZeroCopy(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for i := range 4 {
			goroutine, registered := i&1 != 0, i&2 != 0
			pool, err := buffers.NewPool(buffers.PoolConfig{})
			require.NoError(t, err)
			const rounds, size = 40, 100_000
			before := e.Stats()
			got := sendOn(t, e, goroutine, func(c *TCPConn) {
				if err := c.SetZeroCopy(50_000); err != nil {
					t.Error(err)
				}
				for i := range rounds {
					for _, n := range []int{size, 100} { // the small ones are copied
						lend := pool.Get
						if registered {
							lend = e.Lease
						}
						l, err := lend(n)
						if err != nil {
							t.Error(err)
							return
						}
						for j := range l.Bytes() {
							l.Bytes()[j] = byte(i) ^ byte(j) ^ byte(j>>8)
						}
						if err := c.WriteLease(l); err != nil {
							t.Error(err)
						}
					}
				}
			})
			require.Len(t, got, rounds*(size+100))
			for i := range rounds {
				for _, n := range []int{size, 100} {
					for j := range n {
						if got[j] != byte(i)^byte(j)^byte(j>>8) {
							t.Fatalf("round %d, byte %d differs", i, j)
						}
					}
					got = got[n:]
				}
			}
			for end := time.Now().Add(20 * time.Second); pool.Stats().Out+e.Stats().Leases.Out > 0 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			require.NoError(t, pool.Close())
			require.Zero(t, pool.Stats().DoubleReleases)
			if sent := e.Stats().ZeroCopySends - before.ZeroCopySends; e.Info().Backend == proactor.IOUring {
				require.GreaterOrEqual(t, sent, uint64(rounds))
				require.Equal(t, before.Backend.Fixed, e.Stats().Backend.Fixed, "not from huge pages")
			} else {
				require.Zero(t, sent)
			}
		}
	})
}

// A deadline ends a WriteLease that the peer holds up; its memory is free once the connection is gone.
func TestZeroCopyDeadline(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		pool, err := buffers.NewPool(buffers.PoolConfig{MaxBytes: 32 << 20, MaxSlab: 32 << 20})
		require.NoError(t, err)
		c, peer := pipe(t, forced(e, modeEngine), false)
		require.NoError(t, c.SetZeroCopy(1))
		lease, err := pool.Get(32 << 20)
		require.NoError(t, err)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
		require.ErrorIs(t, c.WriteLease(lease), os.ErrDeadlineExceeded)
		require.NoError(t, c.Close())
		_, _ = io.Copy(io.Discard, peer)
		require.NoError(t, peer.Close())
		for end := time.Now().Add(20 * time.Second); pool.Stats().Out > 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		require.NoError(t, pool.Close())
	})
}

// WriteLeases is one Write on the engine, in runtime mode, and after Close.
func TestWriteLeases(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for _, m := range []modePolicy{modeRuntime, modeEngine} {
			for _, goroutine := range []bool{true, false} {
				var released atomic.Int32
				lease := func(s string) buffers.Lease {
					return buffers.WrapFunc([]byte(s), func() { released.Add(1) })
				}
				got := sendIn(t, e, m, goroutine, func(c *TCPConn) {
					for _, min := range []int{0, 1} {
						if min > 0 && m == modeEngine {
							if err := c.SetZeroCopy(min); err != nil {
								t.Error(err)
							}
						}
						if err := c.WriteLeases(lease("one "), lease(""), lease("two ")); err != nil {
							t.Error(err)
						}
					}
					_ = c.Close()
					if err := c.WriteLeases(lease("three")); !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
				})
				require.Equal(t, "one two one two ", string(got))
				for end := time.Now().Add(20 * time.Second); released.Load() != 7 && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
				require.EqualValues(t, 7, released.Load())
			}
		}
	})
}

// Errors of WriteLeases are those of Buffers: of a reset, a deadline and Close, in every mode and way.
func TestWriteLeasesErrors(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for _, m := range []modePolicy{modeRuntime, modeEngine} {
			for _, min := range []int{0, 1} {
				c, peer := pipe(t, forced(e, m), false)
				if m == modeEngine {
					require.NoError(t, c.SetZeroCopy(min))
				}
				writes := map[string]func() error{
					"WriteLeases": func() error { return c.WriteLeases(buffers.Wrap([]byte("a")), buffers.Wrap([]byte("b"))) },
					"Buffers":     func() error { _, err := (&Buffers{[]byte("a"), []byte("b")}).WriteTo(c); return err },
				}
				requireWritev := func(name string, err error) {
					var op *OpError
					require.ErrorAs(t, err, &op, name)
					require.Equal(t, "writev", op.Op, name)
					if call, ok := op.Err.(*os.SyscallError); ok {
						require.Equal(t, "writev", call.Syscall, name)
					}
				}
				require.NoError(t, c.SetWriteDeadline(time.Unix(1, 0)))
				for name, write := range writes {
					err := write()
					require.ErrorIs(t, err, os.ErrDeadlineExceeded, name)
					requireWritev(name, err)
				}
				require.NoError(t, c.SetWriteDeadline(time.Time{}))
				require.NoError(t, peer.SetLinger(0))
				require.NoError(t, peer.Close())
				for name, write := range writes {
					var err error
					require.Eventually(t, func() bool { err = write(); return err != nil }, 20*time.Second, time.Millisecond, name)
					requireWritev(name, err)
				}
				require.NoError(t, c.Close())
				for name, write := range writes {
					err := write()
					require.ErrorIs(t, err, ErrClosed, name)
					requireWritev(name, err)
				}
			}
		}
	})
}
