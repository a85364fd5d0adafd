//go:build linux

package proactor

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// A context that has ended closes the connections that are open. Where none is, there is nothing to report, and the
// workers must not be left behind.
func TestShutdownWithoutConnectionsNeedsNoTime(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for range 20 {
			e, err := New(cfg)
			require.NoError(t, err)
			require.NoError(t, e.Shutdown(ctx))
		}
	})
}
