//go:build linux

package net

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	stdnet "net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/proactor"
)

func someFile(t *testing.T, n int) (string, []byte) {
	content := make([]byte, n)
	for i := range content {
		content[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)
	}
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, content, 0o600))
	return name, content
}

// sendOn has a handler, on a coroutine or a goroutine, use f on a connection, and returns what its peer read.
func sendOn(t *testing.T, e *proactor.Engine, goroutine bool, f func(c *TCPConn)) []byte {
	return sendIn(t, e, modeEngine, goroutine, f)
}

// sendIn is sendOn with connections that begin in the mode given.
func sendIn(t *testing.T, e *proactor.Engine, m modePolicy, goroutine bool, f func(c *TCPConn)) []byte {
	s := forced(e, m)
	lc := s.ListenConfig(ListenConfig{})
	lc.SetMultipathTCP(false) // its connections cannot be sent to without a copy
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() {
		served <- s.ServeConfig(ServeConfig{Goroutines: goroutine}).Serve(l, func(c Conn) { f(c.(*TCPConn)) })
	}()
	c, err := s.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-served, ErrClosed)
	return got
}

// Files in all the ways in which io.Copy may show them, whole and in part.
func TestSendFile(t *testing.T) {
	name, content := someFile(t, 3<<20+17)
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for _, goroutine := range []bool{false, true} {
			type result struct {
				n   int64
				err error
				at  int64
			}
			for what, c := range map[string]struct {
				send func(c *TCPConn, f *os.File) (int64, error)
				want []byte
			}{
				"io.Copy":   {func(c *TCPConn, f *os.File) (int64, error) { return io.Copy(c, f) }, content},
				"ReadFrom":  {func(c *TCPConn, f *os.File) (int64, error) { return c.ReadFrom(f) }, content},
				"io.CopyN":  {func(c *TCPConn, f *os.File) (int64, error) { return io.CopyN(c, f, 700_001) }, content[:700_001]},
				"other end": {func(c *TCPConn, f *os.File) (int64, error) { return io.CopyN(c, f, 1<<30) }, content},
				"position": {func(c *TCPConn, f *os.File) (int64, error) {
					_, err := f.Seek(1000, io.SeekStart)
					require.NoError(t, err)
					return io.Copy(c, f)
				}, content[1000:]},
			} {
				done := make(chan result, 1)
				got := sendOn(t, e, goroutine, func(conn *TCPConn) {
					f, err := os.Open(name)
					if err != nil {
						t.Error(err)
						return
					}
					defer f.Close()
					n, err := c.send(conn, f)
					at, _ := f.Seek(0, io.SeekCurrent)
					done <- result{n, err, at}
				})
				r := <-done
				require.EqualValues(t, len(c.want), r.n, what)
				require.Equal(t, sha256.Sum256(c.want), sha256.Sum256(got), what)
				if what == "other end" {
					require.Equal(t, io.EOF, r.err)
				} else {
					require.NoError(t, r.err, what)
				}
				if what == "io.CopyN" {
					require.EqualValues(t, 700_001, r.at, "the rest stays unread")
				}
			}
		}
	})
}

// Not a regular file: copied.
func TestSendPipe(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		got := sendOn(t, e, true, func(c *TCPConn) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				w.Write(bytes.Repeat([]byte("pipe"), 50_000))
				w.Close()
			}()
			if n, err := io.Copy(c, r); n != 200_000 || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
			r.Close()
		})
		require.Len(t, got, 200_000)
	})
}

// The deadline ends a sendfile that the peer holds up, as it ends a Write.
func TestSendFileDeadline(t *testing.T) {
	name, _ := someFile(t, 64<<20)
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := forced(e, modeEngine)
		l, err := s.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ended := make(chan error, 1)
		served := make(chan error, 1)
		go func() {
			served <- s.Serve(l, func(c Conn) {
				f, err := os.Open(name)
				if err != nil {
					ended <- err
					return
				}
				defer f.Close()
				_ = c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
				_, err = io.Copy(c, f)
				ended <- err
			})
		}()
		c, err := s.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		err = <-ended
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var oe *OpError
		require.True(t, errors.As(err, &oe))
		require.Equal(t, "readfrom", oe.Op)
		require.NoError(t, c.Close())
		require.NoError(t, l.Close())
		<-served
	})
}

// A proxy passes small and large messages on; bulk data goes over to splice, in the middle of what has arrived already.
func TestProxyCopies(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		_, content := someFile(t, 24<<20+5)
		s := forced(e, modeEngine)
		up, err := s.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		sums := make(chan [32]byte, 1)
		go func() {
			c, err := up.Accept()
			if err != nil {
				return
			}
			h := sha256.New()
			n, err := io.Copy(h, c)
			if err != nil || n != int64(len(content)) {
				t.Errorf("%d bytes, %v", n, err)
			}
			sums <- [32]byte(h.Sum(nil))
			_ = c.Close()
		}()
		l, err := s.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		copied := make(chan int64, 1)
		go func() {
			served <- s.Serve(l, func(c Conn) {
				to, err := s.Dial("tcp", up.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				n, err := io.Copy(to, c)
				if err != nil {
					t.Error(err)
				}
				copied <- n
				_ = to.Close()
			})
		}()
		c, err := stdnet.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		rest := content
		for _, n := range []int{1, 100, 5000, len(content)} { // small ones first
			n = min(n, len(rest))
			_, err := c.Write(rest[:n])
			require.NoError(t, err)
			rest = rest[n:]
		}
		require.NoError(t, c.Close())
		require.EqualValues(t, len(content), <-copied)
		require.Equal(t, sha256.Sum256(content), <-sums)
		require.NoError(t, errors.Join(l.Close(), up.Close()))
		<-served
	})
}
