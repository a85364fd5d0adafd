//go:build linux

package net

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/proactor"
)

// A peer that has reset its connection before it is accepted has no address any more. Handlers print addresses without
// looking, so it must not be nil.
func TestAddressOfAPeerThatIsGone(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		l, err := s.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		c, err := s.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		require.NoError(t, c.(*TCPConn).SetLinger(0))
		require.NoError(t, c.Close())
		remote := make(chan Addr, 1)
		served := make(chan error, 1)
		go func() { served <- s.Serve(l, func(c Conn) { remote <- c.RemoteAddr() }) }()
		select {
		case a := <-remote:
			require.NotNil(t, a)
			require.NotEmpty(t, a.String())
		case <-time.After(30 * time.Second):
			t.Fatal("the connection was never accepted")
		}
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-served, ErrClosed)
	})
}
