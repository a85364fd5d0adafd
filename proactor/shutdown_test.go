//go:build linux

package proactor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A context that has ended closes the connections that are open. Where none is, there is nothing to report, and the
// workers must not be left behind.
func TestShutdownWithoutConnectionsNeedsNoTime(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		cfg.grace = hangs
		for range 20 {
			e, err := New(cfg)
			require.NoError(t, err)
			require.NoError(t, e.Shutdown(ctx))
		}
	})
}

// TestShutdownThatGaveUpEndsLater: what a forced shutdown has left behind (a handler that blocks for longer than the grace)
// takes its workers and rings with it when it ends, without another Shutdown.
func TestShutdownThatGaveUpEndsLater(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.Workers, cfg.grace = 2, 20*time.Millisecond
		e, err := New(cfg)
		require.NoError(t, err)
		began, release := make(chan bool), make(chan bool)
		require.NoError(t, e.Executor().Go(func() {
			close(began)
			<-release
		}))
		<-began
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 2 {
			err := e.Shutdown(ctx)
			require.ErrorContains(t, err, "1 coroutines")
		}
		close(release)
		eventually(t, "the workers' end", func() bool { return e.Stats().Executor.Runners == 0 })
		require.NoError(t, e.Shutdown(t.Context()))
	})
}

// Leases that are held at the end are told as that: no backend broke and no connection ends because of it.
func TestShutdownTellsOfHeldLeases(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		logged := make(chan string, 1)
		cfg.Workers, cfg.Log = 1, func(s string) { logged <- s }
		e, err := New(cfg)
		require.NoError(t, err)
		c, peer := pair(t, e)
		_, err = peer.Write([]byte("x"))
		require.NoError(t, err)
		l, err := c.ReadLease()
		require.NoError(t, err)
		require.NoError(t, c.Close())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, e.Shutdown(ctx))
		said := within(t, logged)
		require.Contains(t, said, "1 leases held")
		require.NotContains(t, said, "broke")
		require.Equal(t, "x", string(l.Bytes()), "the memory stays under a lease")
		l.Release()
	})
}
