package natsremote

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A server that cannot listen says why.
func TestCannotListen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = Connect(Config{Port: l.Addr().(*net.TCPAddr).Port})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	_, err = Connect(Config{Host: "192.0.2.1"})
	require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
}

// The address is known also while there is no connection: an empty one would have whoever uses it start a server.
func TestURL(t *testing.T) {
	a, b := newPair(t)
	at := a.URL()
	require.True(t, strings.HasPrefix(at, "nats://127.0.0.1:"), at)
	require.Equal(t, at, b.URL())
	stopAndSee(t, a, b)
	require.Equal(t, at, a.URL())
	require.Equal(t, at, b.URL())
	require.NoError(t, b.Close())
	require.Equal(t, at, b.URL())
}
