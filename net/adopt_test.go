//go:build linux

package net

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/proactor"
)

// What goroutines have begun in runtime mode goes on when a coroutine's first use moves the connection to the engine:
// a Read that waits gets its bytes, a Write that is half done loses and repeats none.
func TestMoveInterruptsNobody(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		c, peer := pipe(t, forced(e, modeRuntime), false)
		defer c.Close()
		defer peer.Close()
		require.Nil(t, c.conn.Load())
		data := make([]byte, 32<<20)
		for i := range data {
			data[i] = byte(i * 7 >> 3)
		}
		wrote := make(chan error, 1)
		go func() {
			n, err := c.Write(data)
			if err == nil && n != len(data) {
				err = io.ErrShortWrite
			}
			wrote <- err
		}()
		read := make(chan string, 1)
		go func() {
			b := make([]byte, 8)
			n, err := c.Read(b)
			if err != nil {
				read <- err.Error()
				return
			}
			read <- string(b[:n])
		}()
		// The peer has read some, so the Write is inside, and cannot end before the peer reads the rest.
		got := make([]byte, 1<<20)
		_, err := io.ReadFull(peer, got)
		require.NoError(t, err)
		runOn(e, func() { _, _ = c.Read(nil) })
		require.NotNil(t, c.conn.Load(), "a coroutine used it")
		_, err = peer.Write([]byte("hello"))
		require.NoError(t, err)
		require.Equal(t, "hello", <-read)
		rest := make([]byte, len(data)-len(got))
		_, err = io.ReadFull(peer, rest)
		require.NoError(t, err)
		require.NoError(t, <-wrote)
		require.True(t, bytes.Equal(data, append(got, rest...)))
	})
}

func TestMoveKeepsDeadlines(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		c, peer := pipe(t, forced(e, modeRuntime), false)
		defer c.Close()
		defer peer.Close()
		require.NoError(t, c.SetReadDeadline(past))
		runOn(e, func() {
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			_, err = c.Write([]byte("x"))
			require.NoError(t, err)
		})
		require.NotNil(t, c.conn.Load())
	})
}

// Close and the move race: the connection is closed in the end, and every operation is told so.
func TestMoveWhileClosing(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := forced(e, modeRuntime)
		for range 100 {
			c, peer := pipe(t, s, false)
			read := make(chan error, 2)
			go func() {
				_, err := c.Read(make([]byte, 1))
				read <- err
			}()
			moved := make(chan error, 1)
			require.NoError(t, e.Executor().Go(func() {
				_, err := c.Read(make([]byte, 1))
				moved <- err
			}))
			require.NoError(t, c.Close())
			require.ErrorIs(t, <-read, ErrClosed)
			require.ErrorIs(t, <-moved, ErrClosed)
			require.ErrorIs(t, c.Close(), ErrClosed)
			peer.Close()
		}
	})
}

// What the engine has received before anybody asked is not to be skipped by who reads the descriptor: RawConn.Read
// refuses, until it was Read; from then on nothing is received ahead.
func TestRawReadAhead(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		c, peer := pipe(t, forced(e, modeEngine), false)
		defer c.Close()
		defer peer.Close()
		b := make([]byte, 3)
		_, err := peer.Write([]byte("abcdefghi"))
		require.NoError(t, err)
		_, err = io.ReadFull(c, b) // the first Read takes just that from the socket
		require.NoError(t, err)
		require.Equal(t, "abc", string(b))
		_, err = io.ReadFull(c, b) // the next has the engine receive all of it
		require.NoError(t, err)
		raw, err := c.SyscallConn()
		require.NoError(t, err)
		err = raw.Read(func(uintptr) bool { t.Error("called"); return true })
		require.ErrorIs(t, err, proactor.ErrReadAhead)
		var op *OpError
		require.True(t, errors.As(err, &op))
		require.Equal(t, "raw-read", op.Op)
		_, err = io.ReadFull(c, b)
		require.NoError(t, err)
		require.Equal(t, "ghi", string(b))
		for range 3 {
			_, err = peer.Write([]byte("ghi"))
			require.NoError(t, err)
			require.NoError(t, raw.Read(func(fd uintptr) bool {
				n, err := unix.Read(int(fd), b)
				return err == nil && n == 3
			}))
			require.Equal(t, "ghi", string(b))
		}
		_, err = peer.Write([]byte("jkl"))
		require.NoError(t, err)
		_, err = io.ReadFull(c, b)
		require.NoError(t, err)
		require.Equal(t, "jkl", string(b))
	})
}

// The leases of a connection that a goroutine has: it moves to the engine.
func TestLeaseMoves(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		c, peer := pipe(t, forced(e, modeRuntime), false)
		defer c.Close()
		defer peer.Close()
		require.NoError(t, peer.SetDeadline(time.Now().Add(time.Minute)))
		_, err := peer.Write([]byte("hello"))
		require.NoError(t, err)
		l, err := c.ReadLease()
		require.NoError(t, err)
		require.NotNil(t, c.conn.Load())
		require.Equal(t, "hello", string(l.Bytes()))
		require.NoError(t, c.WriteLease(l))
		b := make([]byte, 5)
		_, err = io.ReadFull(peer, b)
		require.NoError(t, err)
		require.Equal(t, "hello", string(b))
	})
}

// With one P and a ring, a goroutine's connection moves to the engine once it has been read from a few times, and not
// before; with more, or on epoll, it stays.
func TestMoveAfterTrial(t *testing.T) {
	for _, procs := range []int{1, 2} {
		t.Run(fmt.Sprint(procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
				c, peer := pipe(t, On(e), false)
				defer c.Close()
				defer peer.Close()
				b := make([]byte, 1)
				for i := range 3 * trialReads {
					_, err := peer.Write([]byte{byte(i)})
					require.NoError(t, err)
					_, err = c.Read(b)
					require.NoError(t, err)
					require.Equal(t, byte(i), b[0])
					moves := procs == 1 && e.Info().Backend == proactor.IOUring && i >= trialReads-1
					require.Equal(t, moves, c.conn.Load() != nil, i)
				}
			})
		})
	}
}

// testing.AllocsPerRun leaves one P for its duration. What a connection does then must not be counted with the engine's start:
// a stack that has known more Ps leaves its connections where they are.
func TestOnePForAWhile(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		c, peer := pipe(t, On(e), false)
		defer c.Close()
		defer peer.Close()
		b := make([]byte, 1)
		n := testing.AllocsPerRun(3*trialReads, func() {
			_, err := peer.Write(b)
			require.NoError(t, err)
			_, err = c.Read(b)
			require.NoError(t, err)
		})
		require.Zero(t, n)
		require.Nil(t, c.conn.Load())
	})
}
