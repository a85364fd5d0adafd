//go:build linux

package proactor

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/reactorfallback"
)

// breaking is a backend that breaks when it is told to.
type breaking struct {
	op.Backend
	broken atomic.Bool
}

var errBroken = errors.New("broken on purpose")

func (b *breaking) Poll(wait time.Duration) (int, error) {
	if b.broken.Load() {
		return 0, errBroken
	}
	n, err := b.Backend.Poll(wait)
	if b.broken.Load() {
		return n, errBroken
	}
	return n, err
}

// When a backend breaks everybody who waits on it is told, and the engine can still be shut down.
func TestBrokenBackend(t *testing.T) {
	var b *breaking
	var logged atomic.Int32
	e, err := New(Config{
		Workers: 1, Backend: Epoll, Log: func(string) { logged.Add(1) },
		backend: func(int) (op.Backend, error) {
			r, err := reactorfallback.New(reactorfallback.Config{})
			b = &breaking{Backend: r}
			return b, err
		},
	})
	require.NoError(t, err)
	l := listen(t)
	conns := make(chan *Conn, 3)
	a, err := e.Accept(l, func(c *Conn) { conns <- c })
	require.NoError(t, err)
	closed := make(chan error, 1)
	reader, writer, handled := dial(t, l), dial(t, l), dial(t, l)
	_, _, _ = reader, writer, handled
	c1, c2, c3 := <-conns, <-conns, <-conns
	e.Handle(c3, &Handler{
		OnData:  func(_ *Conn, d buffers.Lease) { d.Release() },
		OnClose: func(_ *Conn, err error) { closed <- err },
	})
	failed := make(chan error, 2)
	go func() {
		_, err := c1.Read(make([]byte, 1))
		failed <- err
	}()
	go func() {
		_, err := c2.Write(make([]byte, 64<<20))
		failed <- err
	}()
	for { // until all of them wait in the backend
		if s := e.Stats(); s.InFlight >= 4 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	b.broken.Store(true)
	b.Wake()
	for range 2 {
		err := <-failed
		require.True(t, errors.Is(err, errBroken) || errors.Is(err, ErrClosed), "%v", err)
	}
	require.ErrorIs(t, <-closed, errBroken)
	require.ErrorIs(t, a.Wait(context.Background()), errBroken)
	require.NotZero(t, logged.Load())
	_, err = c1.Write([]byte("x"))
	require.Error(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, e.Shutdown(ctx))
	require.Zero(t, e.Stats().Conns)
}
