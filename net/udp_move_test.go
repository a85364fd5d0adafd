//go:build linux

package net

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/proactor"
)

// A coroutine's write on a socket that could not move when the write began, and that another coroutine moves meanwhile.
func TestWriteWhileAnotherMoves(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		sink, err := On(e).ListenUDP("udp4", &UDPAddr{IP: IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		defer sink.Close()
		to := sink.LocalAddr().(*UDPAddr)
		for range 200 {
			c, err := On(e).DialUDP("udp4", nil, to)
			require.NoError(t, err)
			c.exposed.Store(true) // as if there were no descriptor to move it with
			errs := make(chan error, 2)
			begun := make(chan struct{})
			write := func(n int) (err error) {
				for range n {
					if _, err = c.Write([]byte("x")); err == nil {
						_, _, err = c.WriteMsgUDP([]byte("x"), nil, nil)
					}
					if err != nil {
						return err
					}
				}
				return nil
			}
			require.NoError(t, e.Executor().Go(func() {
				close(begun)
				errs <- write(8)
			}))
			<-begun
			c.exposed.Store(false)
			require.NoError(t, e.Executor().Go(func() { errs <- write(1) }))
			require.NoError(t, <-errs)
			require.NoError(t, <-errs)
			require.NotNil(t, c.settled())
			require.NoError(t, c.Close())
		}
	})
}
