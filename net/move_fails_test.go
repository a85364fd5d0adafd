//go:build linux

package net

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/proactor"
)

// A deadline that is set while a socket is about to move counts, though the move comes to nothing (for want of descriptors) and the
// socket stays with the standard library.
func TestDeadlineDuringAMoveThatFails(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		c := localUDP(t, forced(e, modeRuntime))
		began, err := c.depart(func() bool { return false })
		require.NoError(t, err)
		require.True(t, began)
		require.NoError(t, c.SetReadDeadline(past))
		c.arrive(stateRuntime, c.std, nil, nil)
		_, err = c.WriteTo([]byte("x"), c.LocalAddr()) // so that the Read finds something in any case
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}
