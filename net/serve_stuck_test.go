//go:build linux

package net

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

// stuckServe serves one connection whose peer reads nothing, and whose handler has filled the queue of SendLease and waits
// in a Read. It returns the peer, what ends the serving, and how that and the Read ended.
func stuckServe(t *testing.T, s *Stack, cfg ServeConfig) (peer Conn, queued int, stop func() (served, read error)) {
	l, err := s.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ended, read, full := make(chan error, 1), make(chan error, 1), make(chan int, 1)
	go func() {
		ended <- s.ServeConfig(cfg).ServeContext(ctx, l, func(c Conn) {
			n := 0
			for {
				err := c.(*TCPConn).SendLease(buffers.Wrap(make([]byte, 64<<10)))
				if errors.Is(err, proactor.ErrWriteQueueFull) {
					break
				}
				n += 64 << 10
			}
			full <- n
			_, err := c.Read(make([]byte, 1))
			read <- err
		})
	}()
	peer = dialStd(t, l)
	queued = <-full
	return peer, queued, func() (error, error) {
		cancel()
		return <-ended, <-read
	}
}

// A graceful end: Serve waits for the handler and not for the peer; what was queued reaches the peer once it reads.
func TestDrainWithStuckQueue(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		peer, queued, stop := stuckServe(t, On(e), ServeConfig{Drain: -1, OnDrain: func(c Conn) { _ = c.SetReadDeadline(past) }})
		served, read := stop()
		require.ErrorIs(t, served, context.Canceled)
		require.NotContains(t, served.Error(), "were open")
		require.ErrorIs(t, read, os.ErrDeadlineExceeded)
		got, err := io.Copy(io.Discard, peer)
		require.NoError(t, err)
		require.EqualValues(t, queued, got)
	})
}

// A forced end: the handler is thrown out, Serve says so and does not wait for the queue; a peer that goes ends the rest.
func TestCutWithStuckQueue(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		peer, _, stop := stuckServe(t, On(e), ServeConfig{Drain: time.Millisecond})
		served, read := stop()
		require.ErrorIs(t, served, context.Canceled)
		require.ErrorContains(t, served, "1 connections were open")
		require.ErrorIs(t, read, ErrClosed)
		require.NoError(t, peer.Close())
		require.Eventually(t, func() bool { return e.Stats().Conns == 0 }, time.Minute, time.Millisecond)
	})
}
