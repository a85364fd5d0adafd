//go:build linux

package proactor

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Who looks at Received and at the socket finds each byte in one of the two, or is told that somebody is taking some.
func TestReceiving(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		c, peer := pair(t, newEngine(t, cfg))
		defer c.Close()
		defer peer.Close()
		c.NoReadAhead()
		require.False(t, c.Receiving())
		for i, takes := range []func(n int){func(n int) { c.Took(n) }, func(int) { panic("f's own") }, func(int) { c.Took(-1) }} {
			_, err := peer.Write([]byte("x"))
			require.NoError(t, err)
			func() {
				defer func() { require.Equal(t, i == 1, recover() != nil) }()
				err = c.ReadWith(func(fd int) bool {
					n, err := unix.Read(fd, make([]byte, 1))
					if err == unix.EAGAIN {
						return false
					}
					require.True(t, c.Receiving())
					takes(n)
					return true
				})
				require.NoError(t, err)
			}()
			require.False(t, c.Receiving())
		}
		require.Greater(t, c.Received(), uint64(math.MaxInt64))
		_, err := peer.Write([]byte("x"))
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Greater(t, c.Received(), uint64(math.MaxInt64))
	})
}
