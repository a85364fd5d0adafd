//go:build linux

package reactorfallback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func newLoop(t testing.TB) *Loop {
	l, err := NewLoop(LoopConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// loopPair is a pair of connected, non-blocking stream sockets.
func loopPair(t testing.TB) (a, b int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// runLoop runs l until it is stopped, with a limit against hanging.
func runLoop(t testing.TB, l *Loop) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	require.NoError(t, l.Run(ctx))
}

// TestLoopIsLevelTriggered: a handler that leaves bytes is called again, one that takes them is not.
func TestLoopIsLevelTriggered(t *testing.T) {
	l := newLoop(t)
	a, b := loopPair(t)
	_, err := unix.Write(b, []byte("abc"))
	require.NoError(t, err)
	got := ""
	_, err = l.Watch(a, Readable, func(g *Registration, ready Events) {
		require.Equal(t, Readable, ready)
		p := make([]byte, 1)
		n, err := unix.Read(g.FD(), p)
		require.NoError(t, err)
		if got += string(p[:n]); got == "abc" {
			l.Stop()
		}
	})
	require.NoError(t, err)
	runLoop(t, l)
	require.Equal(t, "abc", got)
	called := len(got)
	require.NoError(t, l.Post(l.Stop))
	runLoop(t, l)
	require.Len(t, got, called, "called without a reason")
}

// TestLoopInterest switches between reading and writing, as a server with pending output does.
func TestLoopInterest(t *testing.T) {
	l := newLoop(t)
	a, b := loopPair(t)
	var log []Events
	g, err := l.Watch(a, Writable, func(g *Registration, ready Events) {
		log = append(log, ready)
		switch len(log) {
		case 1:
			g.Set(Readable)
			_, err := unix.Write(b, []byte{1})
			require.NoError(t, err)
		case 2:
			g.Set(0)
			_ = l.Post(func() { unix.Shutdown(b, unix.SHUT_RDWR) })
		default:
			g.Close(nil)
			l.Stop()
		}
	})
	require.NoError(t, err)
	runLoop(t, l)
	require.Equal(t, []Events{Writable, Readable}, log[:2])
	require.NotZero(t, log[2]&HangUp)
	_, err = l.Watch(g.FD(), Readable, nil)
	require.Error(t, err)
	_, err = l.Watch(-1, Readable, func(*Registration, Events) {})
	require.ErrorIs(t, err, unix.EBADF)
}

// TestLoopClose ends registrations inside and outside handlers, with events waiting; the descriptor may be closed in the
// function, and its number be watched again at once.
func TestLoopClose(t *testing.T) {
	l := newLoop(t)
	for round := range 50 {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		_, err = unix.Write(fds[1], []byte{1})
		require.NoError(t, err)
		calls := 0
		end := func() {
			require.NoError(t, unix.Close(fds[0]))
			require.NoError(t, unix.Close(fds[1]))
			l.Stop()
		}
		g, err := l.Watch(fds[0], Readable|Writable, func(g *Registration, _ Events) {
			calls++
			g.Close(end)
			g.Close(func() { t.Error("the second Close counts") })
		})
		require.NoError(t, err)
		_, err = l.Watch(fds[0], Readable, func(*Registration, Events) {})
		require.ErrorIs(t, err, ErrWatched)
		if round%2 == 0 {
			g.Close(end)
		}
		runLoop(t, l)
		require.Equal(t, round%2, calls)
	}
}

// TestLoopPost: functions come in order, from any goroutine, also while the loop sleeps; and a panic loses none.
func TestLoopPost(t *testing.T) {
	l := newLoop(t)
	const n = 1000
	var got []int
	go func() {
		for i := range n {
			_ = l.Post(func() {
				if got = append(got, i); i == n-1 {
					l.Stop()
				}
			})
		}
	}()
	runLoop(t, l)
	require.Len(t, got, n)
	for i := range got {
		require.Equal(t, i, got[i])
	}
	ran := 0
	require.NoError(t, l.Post(func() { panic("x") }))
	require.NoError(t, l.Post(func() { ran++; l.Stop() }))
	require.Panics(t, func() { _ = l.Run(context.Background()) })
	runLoop(t, l)
	require.Equal(t, 1, ran)
}

func TestLoopEnds(t *testing.T) {
	l, err := NewLoop(LoopConfig{})
	require.NoError(t, err)
	_, err = NewLoop(LoopConfig{Events: -1})
	require.Error(t, err)
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(context.Background())
	require.NoError(t, l.Post(func() {
		require.ErrorIs(t, l.Run(context.Background()), ErrLoop)
		require.ErrorIs(t, l.Close(), ErrLoop)
		cancel(why)
	}))
	require.ErrorIs(t, l.Run(ctx), why)
	a, _ := loopPair(t)
	ended := false
	g, err := l.Watch(a, Readable, func(*Registration, Events) {})
	require.NoError(t, err)
	g.Close(func() { ended = true })
	require.NoError(t, l.Close())
	require.True(t, ended)
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Run(context.Background()), ErrLoop)
	require.ErrorIs(t, l.Post(func() {}), ErrLoop)
	_, err = l.Watch(a, Readable, func(*Registration, Events) {})
	require.ErrorIs(t, err, ErrLoop)
}

// TestLoopServes is a whole server on the loop, with many clients at a time.
func TestLoopServes(t *testing.T) {
	l := newLoop(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f, err := ln.(*net.TCPListener).File()
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	defer f.Close()
	lfd := int(f.Fd())
	require.NoError(t, unix.SetNonblock(lfd, true))
	buf := make([]byte, 4096)
	_, err = l.Watch(lfd, Readable, func(*Registration, Events) {
		fd, _, err := unix.Accept4(lfd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_, _ = l.Watch(fd, Readable, func(g *Registration, _ Events) {
			n, err := unix.Read(fd, buf)
			if n <= 0 && err != unix.EAGAIN {
				g.Close(func() { unix.Close(fd) })
				return
			}
			if n > 0 {
				_, _ = unix.Write(fd, buf[:n]) // small enough for the socket's buffer
			}
		})
	})
	require.NoError(t, err)
	const clients, rounds = 20, 50
	var left atomic.Int32
	left.Store(clients)
	for range clients {
		go func() {
			defer func() {
				if left.Add(-1) == 0 {
					l.Stop()
				}
			}()
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			p := make([]byte, 5)
			for range rounds {
				if _, err := c.Write([]byte("hello")); err != nil {
					t.Error(err)
					return
				}
				for n := 0; n < 5; {
					m, err := c.Read(p[n:])
					if err != nil {
						t.Error(err)
						return
					}
					n += m
				}
			}
		}()
	}
	runLoop(t, l)
	for len(l.watched) > 1 { // the last clients' ends
		require.NoError(t, l.Post(l.Stop))
		runLoop(t, l)
	}
}

// ExampleLoop reads from a pipe when there is something to read.
func ExampleLoop() {
	l, err := NewLoop(LoopConfig{})
	if err != nil {
		panic(err)
	}
	defer l.Close()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		panic(err)
	}
	_, _ = unix.Write(p[1], []byte("ready"))
	_, _ = l.Watch(p[0], Readable, func(g *Registration, ready Events) {
		buf := make([]byte, 16)
		n, _ := unix.Read(g.FD(), buf)
		fmt.Println(string(buf[:n]))
		g.Close(func() {
			unix.Close(p[0])
			unix.Close(p[1])
			l.Stop()
		})
	})
	_ = l.Run(context.Background())
	// Output: ready
}
