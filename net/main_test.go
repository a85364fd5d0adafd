//go:build linux

package net

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/leaktest"
	"github.com/ouro-io/ouro/proactor"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var backends = []proactor.Backend{proactor.IOUring, proactor.Epoll}

// onEachBackend runs f once per backend. One that cannot start fails the test, unless the kernel really lacks io_uring.
func onEachBackend(t *testing.T, f func(t *testing.T, e *proactor.Engine)) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) { f(t, newEngine(t, proactor.Config{Backend: b})) })
	}
}

func newEngine(t testing.TB, c proactor.Config) *proactor.Engine {
	if c.Backend == proactor.IOUring {
		if err := denytest.NoRing(); err != nil {
			t.Skip(err)
		}
	}
	if c.Log == nil {
		c.Log = func(s string) { t.Log(s) }
	}
	e, err := proactor.New(c)
	require.NoError(t, err)
	require.Equal(t, c.Backend, e.Info().Backend)
	t.Cleanup(func() {
		// Connections close behind their handlers, so they are given a moment; the test itself has ended.
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, e.Shutdown(ctx))
		s := e.Stats()
		require.Zero(t, s.Conns, "connections left")
		require.Zero(t, s.InFlight, "operations left in flight")
		for _, g := range s.Buffers {
			require.Zero(t, g.Out, "leases left")
		}
	})
	return e
}

// forced returns e's functions with all connections of goroutines in the mode given.
func forced(e *proactor.Engine, p modePolicy) *Stack {
	s := On(e)
	s.policy = p
	return s
}
