//go:build linux

package proactor

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/reactorfallback"
)

// stuck is more than the buffers of both ends take when nobody reads.
const stuck = 16 << 20

// fill sends on c, whose peer does not read, until a send is stuck.
func fill(t testing.TB, c *Conn) {
	t.Helper()
	require.NoError(t, c.Send(buffers.Wrap(make([]byte, stuck))))
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
		eventually(t, "the send to be in flight", c.locked(func() bool { return c.sendOn }))
		require.NoError(t, c.Close())
		c.mu.Lock()
		require.False(t, c.finished)
		c.wait.lingerAt = 1
		c.wait.armed = 1
		c.wait.timer.Set(1)
		c.mu.Unlock()
		eventually(t, "the linger to end", c.locked(func() bool { return c.finished }))
	})
}

// TestCloseWaitAtTheEnd: wherever the end of a coroutine closes its connection, with a receive in flight, and however it ended,
// the descriptor is closed, the exit hook returns, and the worker goes on.
func TestCloseWaitAtTheEnd(t *testing.T) {
	ways := map[string]func(){"returns": func() {}, "panics": func() { panic("on purpose") }, "exits": runtime.Goexit}
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.Workers, cfg.Log = 1, func(string) {}
		e := newEngine(t, cfg)
		for name, end := range ways {
			for range 20 {
				c, peer := pair(t, e)
				told, closed := make(chan error, 1), make(chan error, 1)
				_, err := peer.Write([]byte("x"))
				require.NoError(t, err)
				require.NoError(t, c.Start(func() {
					_, _ = c.Read(make([]byte, 1)) // leaves the receive in flight
					end()
				}, func(err error) {
					told <- err
					closed <- c.CloseWait()
				}, false))
				err = within(t, told)
				require.Equal(t, name == "returns", err == nil, name)
				require.NoError(t, within(t, closed), name)
				require.True(t, c.locked(func() bool { return c.finished })(), name)
				_, err = peer.Read(make([]byte, 1))
				require.Equal(t, io.EOF, err, name)
			}
		}
		eventually(t, "the coroutines' end", func() bool { return e.Stats().Executor.Coroutines == 0 })
	})
}

// neighbours are two connections of one worker, with their peers.
func neighbours(t *testing.T, cfg Config) (e *Engine, c *Conn, peer net.Conn, other *Conn, otherPeer net.Conn) {
	cfg.Workers = 1
	e = newEngine(t, cfg)
	c, peer = pair(t, e)
	other, otherPeer = pair(t, e)
	return e, c, peer, other, otherPeer
}

// TestCloseWaitInACallback: it returns though it may not wait, also for another connection of the same worker.
func TestCloseWaitInACallback(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e, c, peer, other, otherPeer := neighbours(t, cfg)
		go func() { _, _ = other.Read(make([]byte, 1)) }()
		eventually(t, "a receive in flight", other.locked(func() bool { return other.recvOn }))
		closed := make(chan error, 2)
		e.Handle(c, &Handler{OnData: func(c *Conn, l buffers.Lease) {
			l.Release()
			closed <- other.CloseWait()
			closed <- c.CloseWait()
		}})
		_, err := peer.Write([]byte("x"))
		require.NoError(t, err)
		for _, p := range []io.Reader{otherPeer, peer} {
			require.NoError(t, within(t, closed))
			_, err = p.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
		}
	})
}

// TestLingeringCloseHoldsNobodyUp: close(2) waits where SO_LINGER says so; the worker does not. Whether close(2) is still
// waiting is not looked at: any signal to its thread ends it, as one from the runtime or a ring's pending task work does.
func TestLingeringCloseHoldsNobodyUp(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		_, c, peer, other, otherPeer := neighbours(t, cfg)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
		_, err := c.Write(make([]byte, 64<<20))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the socket is full")
		require.NoError(t, c.Control(func(fd int) error {
			return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600})
		}))
		closed := make(chan error, 1)
		go func() { closed <- c.CloseWait() }()
		eventually(t, "the end of c", c.locked(func() bool { return c.finished }))
		_, err = otherPeer.Write([]byte("x"))
		require.NoError(t, err)
		read := make(chan error, 1)
		go func() {
			_, err := other.Read(make([]byte, 1)) // it needs the worker that c is on
			read <- err
		}()
		require.NoError(t, within(t, read))
		require.NoError(t, peer.Close()) // with unread bytes: a reset
		require.NoError(t, within(t, closed))
	})
}

func TestForcedShutdownDoesNotWaitForThePeer(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg.grace = lingerTime - forcedLinger
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
			eventually(t, "the write to stand in the queue", queued(i+1))
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
			require.NoError(t, within(t, done))
		}
		peer.Close()
	})
}

// slowSend holds the first direct send up until the test lets it go.
type slowSend struct {
	op.System
	held, release chan struct{}
	once          sync.Once
}

func (s *slowSend) Send(fd int, p []byte) (int, syscall.Errno) {
	s.once.Do(func() {
		close(s.held)
		<-s.release
	})
	return s.System.Send(fd, p)
}

func TestBackendBreaksDuringADirectWrite(t *testing.T) {
	var b *breaking
	slow := &slowSend{System: &kernel{}, held: make(chan struct{}), release: make(chan struct{})}
	e := newEngine(t, Config{
		Workers: 1, Backend: Epoll, Log: func(string) {}, system: slow,
		backend: func(int) (op.Backend, error) {
			r, err := reactorfallback.New(reactorfallback.Config{})
			b = &breaking{Backend: r}
			return b, err
		},
	})
	c, _ := pair(t, e)
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, stuck))
		wrote <- err
	}()
	within(t, slow.held)
	b.broken.Store(true)
	b.Wake()
	eventually(t, "the connection to end", c.locked(func() bool { return c.closed }))
	close(slow.release)
	require.ErrorIs(t, within(t, wrote), ErrClosed)
	eventually(t, "the descriptor to be closed", c.locked(func() bool { return c.finished }))
}

// A write that is in its direct system call when the engine gives up waiting for it finds nobody to go on with the rest.
func TestEngineEndsDuringADirectWrite(t *testing.T) {
	slow := &slowSend{System: &kernel{}, held: make(chan struct{}), release: make(chan struct{})}
	e := newEngine(t, Config{Workers: 1, Backend: Epoll, Log: func(string) {}, system: slow})
	c, _ := pair(t, e)
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, stuck))
		wrote <- err
	}()
	within(t, slow.held)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, e.Shutdown(ctx), "1 connections were open")
	eventually(t, "the worker to end", func() bool { return !c.loop.w.Command(&c.ctl) })
	close(slow.release)
	require.ErrorIs(t, within(t, wrote), ErrClosed)
	eventually(t, "the descriptor to be closed", c.locked(func() bool { return c.finished }))
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
		require.NoError(t, within(t, closed))
		ctx, cancel := context.WithTimeout(context.Background(), hangs)
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
		eventually(t, "the write", c.locked(func() bool { return c.sendOn }))
		require.NoError(t, c.Send(buffers.Wrap([]byte("follows"))))
		require.NoError(t, c.Close())
		require.ErrorIs(t, within(t, wrote), ErrClosed)
		require.NoError(t, peer.SetReadDeadline(time.Now().Add(hangs)))
		got, err := io.ReadAll(peer)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Zero(t, bytes.Count(got, []byte("follows")))
	})
}
