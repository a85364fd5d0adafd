//go:build linux

package net

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/proactor"
)

// SetGRO while goroutines wait in Reads that are the standard library's: none of them gives out joined datagrams, and none
// ends; their deadline stays.
func TestGROWhileReading(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := forced(e, modeRuntime)
		c, from := localUDP(t, s), localUDP(t, s)
		const readers, size = 4, 100
		type result struct {
			n   int
			err error
		}
		got := make(chan result, 64)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
		for i := range readers {
			go func() {
				b := make([]byte, 64<<10)
				for {
					var r result
					switch i {
					case 0:
						_, _, _, _, r.err = c.ReadMsgUDPAddrPort(nil, nil)
						if r.err == nil {
							r.n = size
						}
					case 1:
						r.n, r.err = c.Read(b)
					default:
						r.n, _, r.err = c.ReadFromUDPAddrPort(b)
					}
					got <- r
					if r.err != nil {
						return
					}
				}
			}()
		}
		require.Eventually(t, func() bool { return c.plain.inside.Load() == readers }, time.Minute, time.Millisecond)
		if err := c.SetGRO(true); err != nil {
			c.Close()
			for range readers {
				<-got
			}
			t.Skip("no UDP_GRO: ", err)
		}
		require.Zero(t, c.plain.inside.Load())
		many := make([]Message, 16)
		for i := range many {
			many[i] = Message{Buffers: [][]byte{make([]byte, size)}, Addr: c.LocalAddr()}
		}
		n, err := from.WriteBatch(many, 0)
		require.NoError(t, err)
		require.Equal(t, len(many), n)
		for range many {
			r := <-got
			require.NoError(t, r.err)
			require.Equal(t, size, r.n, "datagrams that the kernel has joined")
		}
		require.NoError(t, c.SetReadDeadline(past))
		for range readers {
			require.ErrorIs(t, (<-got).err, os.ErrDeadlineExceeded)
		}
	})
}
