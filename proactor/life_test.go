package proactor

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/proactor/ringbackend"
	"github.com/ouro-io/ouro/reactorfallback"
)

// hang is how long a test waits for what must happen.
const hang = 30 * time.Second

func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(hang):
		t.Fatalf("hangs: %s", what)
	}
	return v
}

// pair returns a connection of e and its peer, which is an ordinary one.
func pair(t testing.TB, e *Engine) (*Conn, net.Conn) {
	t.Helper()
	l := listen(t)
	conns := make(chan *Conn, 1)
	a, err := e.Accept(l, func(c *Conn) { conns <- c })
	require.NoError(t, err)
	peer := dial(t, l)
	c := await(t, conns, "accept")
	require.NoError(t, a.Close())
	t.Cleanup(func() { _ = c.Close() })
	return c, peer
}

// stuck is more than the buffers of both ends take when nobody reads.
const stuck = 16 << 20

// fill sends on c, whose peer does not read, until a send is stuck.
func fill(t testing.TB, c *Conn) {
	t.Helper()
	require.NoError(t, c.Send(buffers.Wrap(make([]byte, stuck))))
}

func until(t testing.TB, f func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(hang); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("hangs: %s", what)
		}
	}
}

func (c *Conn) locked(f func() bool) func() bool {
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return f()
	}
}

func TestLingerEndsWhenThePeerDoesNotRead(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		c, _ := pair(t, e)
		fill(t, c)
		until(t, c.locked(func() bool { return c.sendOn }), "the send to be in flight")
		require.NoError(t, c.Close())
		c.mu.Lock()
		require.False(t, c.finished)
		c.wait.lingerAt = 1
		c.wait.armed = 1
		c.wait.timer.Set(1)
		c.mu.Unlock()
		until(t, c.locked(func() bool { return c.finished }), "the linger to end")
	})
}

func TestForcedShutdownDoesNotWaitForThePeer(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		c, _ := pair(t, e)
		fill(t, c)
		before, _ := pair(t, e)
		fill(t, before)
		require.NoError(t, before.Close())
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		err := e.Shutdown(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, context.DeadlineExceeded, "connections outlived the shutdown")
		require.True(t, c.locked(func() bool { return c.finished })())
	})
}

func TestFarDeadlineIsNotPast(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		c, peer := pair(t, e)
		require.NoError(t, c.SetDeadline(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)))
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = peer.Write([]byte("y"))
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, c.SetDeadline(time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)))
		_, err = c.Write([]byte("x"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

func TestEmptyWritePassesTheTurn(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		c, peer := pair(t, e)
		fill(t, c)
		queued := func(n int) func() bool {
			return c.locked(func() bool { return c.wait != nil && len(c.wait.writers) == n })
		}
		done := make(chan error, 2)
		for i, p := range [][]byte{{}, []byte("x")} {
			go func() {
				_, err := c.Write(p)
				done <- err
			}()
			until(t, queued(i+1), "the write to stand in the queue")
		}
		go func() {
			buf := make([]byte, 1<<20)
			for {
				if _, err := peer.Read(buf); err != nil {
					return
				}
			}
		}()
		for range 2 {
			require.NoError(t, await(t, done, "a write behind an empty one"))
		}
		peer.Close()
	})
}

// breaking is a backend that breaks on demand: Poll fails, Submit refuses, and nothing in flight is ever heard of
// until Close.
type breaking struct {
	op.Backend
	broken atomic.Bool
}

func (b *breaking) Poll(wait time.Duration) (int, error) {
	if b.broken.Load() {
		return 0, syscall.ENXIO
	}
	n, err := b.Backend.Poll(wait)
	if b.broken.Load() {
		return n, syscall.ENXIO
	}
	return n, err
}

func (b *breaking) Submit(o *op.Op) error {
	if b.broken.Load() {
		return op.ErrClosed
	}
	return b.Backend.Submit(o)
}

func TestBrokenBackendTellsWhoWaits(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		var made []*breaking
		cfg.Workers = 1
		cfg.backend = func(int) (op.Backend, error) {
			b := new(breaking)
			var err error
			if cfg.Backend == Epoll {
				b.Backend, err = reactorfallback.New(reactorfallback.Config{})
			} else {
				b.Backend, err = ringbackend.New(ringbackend.Config{})
			}
			made = append(made, b)
			return b, err
		}
		e := newEngine(t, cfg)
		reader, _ := pair(t, e)
		writer, _ := pair(t, e)
		sender, _ := pair(t, e)
		handled, _ := pair(t, e)
		l := listen(t)
		a, err := e.Accept(l, func(c *Conn) { _ = c.Close() })
		require.NoError(t, err)
		fill(t, sender)
		ended := make(chan error, 4)
		e.Handle(handled, &Handler{
			OnData:  func(_ *Conn, l buffers.Lease) { l.Release() },
			OnClose: func(_ *Conn, err error) { ended <- err },
		})
		go func() {
			_, err := reader.Read(make([]byte, 1))
			ended <- err
		}()
		go func() {
			_, err := writer.Write(make([]byte, stuck))
			ended <- err
		}()
		until(t, reader.locked(func() bool { return reader.recvOn }), "the read")
		until(t, writer.locked(func() bool { return writer.sendOn }), "the write")
		until(t, sender.locked(func() bool { return sender.sendOn }), "the send")
		until(t, handled.locked(func() bool { return handled.recvOn }), "the handler")

		made[0].broken.Store(true)
		made[0].Wake()
		for range 3 {
			require.ErrorIs(t, await(t, ended, "who waits for a broken backend"), syscall.ENXIO)
		}
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		require.ErrorIs(t, a.Wait(ctx), syscall.ENXIO)
		_, err = reader.Read(make([]byte, 1))
		require.Error(t, err)
		require.ErrorIs(t, sender.Send(buffers.Wrap([]byte("x"))), syscall.ENXIO)
		for _, c := range []*Conn{reader, writer, sender, handled} {
			_ = c.Close()
			require.True(t, c.locked(func() bool { return c.finished })())
		}
	})
}

func TestAcceptorClosesItself(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		l := listen(t)
		self := make(chan *Acceptor, 1)
		closed := make(chan error, 1)
		a, err := e.Accept(l, func(c *Conn) {
			a := <-self
			closed <- a.Close()
			_ = c.Close()
		})
		require.NoError(t, err)
		self <- a
		dial(t, l)
		require.NoError(t, await(t, closed, "Close inside the callback"))
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		require.ErrorIs(t, a.Wait(ctx), ErrClosed)
	})
}

func TestNothingFollowsAWriteThatCloseCut(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		c, peer := pair(t, e)
		wrote := make(chan error, 1)
		go func() {
			_, err := c.Write(make([]byte, stuck))
			wrote <- err
		}()
		until(t, c.locked(func() bool { return c.sendOn }), "the write")
		require.NoError(t, c.Send(buffers.Wrap([]byte("follows"))))
		require.NoError(t, c.Close())
		require.ErrorIs(t, await(t, wrote, "the write"), ErrClosed)
		require.NoError(t, peer.SetReadDeadline(time.Now().Add(hang)))
		got, err := io.ReadAll(peer)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Zero(t, bytes.Count(got, []byte("follows")))
	})
}
