//go:build linux

package proactor

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
)

// Callbacks that stop reading while much is queued keep within the bound, lose nothing, and go on; a peer that ends its side
// meanwhile gets all of it and then the end.
func TestBacklog(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.WriteQueue = 256 << 10
		e := newEngine(t, cfg)
		var full atomic.Int32
		var calls []bool
		paused, ended := make(chan *Conn, 1000), make(chan error, 1)
		held := false
		l := serve(t, e, Handler{
			OnData: func(c *Conn, d buffers.Lease) {
				if held {
					t.Error("OnData after PauseRead")
				}
				if c.Send(d) != nil {
					full.Add(1)
				}
			},
			OnBacklog: func(c *Conn, long bool) {
				calls = append(calls, long)
				if held = long; long {
					c.PauseRead()
					paused <- c
				} else {
					c.ResumeRead()
				}
			},
			OnClose: func(_ *Conn, err error) { ended <- err },
		})
		peer := dial(t, l).(*net.TCPConn)
		want := bytesFrom(5, stuck)
		go func() {
			_, err := peer.Write(want)
			if err != nil {
				t.Error(err)
			}
			_ = peer.CloseWrite()
		}()
		c := within(t, paused)
		eventually(t, "a stand", c.locked(func() bool { return !c.recvOn }))
		require.LessOrEqual(t, c.Queued(), 256<<10)
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "content differs")
		require.Equal(t, io.EOF, within(t, ended))
		require.Zero(t, full.Load())
		for i, long := range calls {
			require.Equal(t, i%2 == 0, long, "in turns")
		}
	})
}

// A handler that is paused learns that sending has failed, although it would wait for ever otherwise.
func TestBacklogEndsWithTheConnection(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		paused, ended := make(chan *Conn, 1), make(chan error, 1)
		l := serve(t, e, Handler{
			OnData: func(c *Conn, d buffers.Lease) {
				d.Release()
				_ = c.Send(buffers.Wrap(make([]byte, stuck)))
			},
			OnBacklog: func(c *Conn, long bool) {
				if long {
					c.PauseRead()
					paused <- c
				}
			},
			OnClose: func(_ *Conn, err error) { ended <- err },
		})
		peer := dial(t, l)
		_, err := peer.Write([]byte("x"))
		require.NoError(t, err)
		c := within(t, paused)
		eventually(t, "a stand", c.locked(func() bool { return !c.recvOn && c.sendOn }))
		require.NoError(t, peer.SetDeadline(time.Now().Add(hangs)))
		reset(t, peer)
		require.Error(t, within(t, ended))
	})
}
