//go:build linux

package csp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/worldtest"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// onEachBackend runs f on an engine per backend, unless the kernel lacks io_uring.
func onEachBackend(t *testing.T, f func(t *testing.T, e *proactor.Engine)) {
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			if err := denytest.NoRing(); b == proactor.IOUring && err != nil {
				t.Skip(err)
			}
			e, err := proactor.New(proactor.Config{Backend: b, Log: func(s string) { t.Log(s) }})
			require.NoError(t, err)
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), worldtest.Hang)
				defer cancel()
				require.NoError(t, e.Shutdown(ctx))
			})
			f(t, e)
		})
	}
}

// serve runs handler for connections of a listener, which it returns the address of.
func serve(t *testing.T, e *proactor.Engine, handler func(net.Conn)) string {
	l, err := net.On(e).Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = net.On(e).Serve(l, handler)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func dial(t *testing.T, addr string) *stdnet.TCPConn {
	c, err := stdnet.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(worldtest.Hang)))
	return c.(*stdnet.TCPConn)
}

// Frames go out and come back in order, over an engine's connection at one end and the standard library's at the other.
func TestConnFrames(t *testing.T) {
	for name, f := range map[string]Framing{"length": LengthPrefixed(1 << 16), "lines": Lines(1 << 16), "delimiter": Delimited(0, 1<<16)} {
		t.Run(name, func(t *testing.T) {
			onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
				served := make(chan error, 1)
				addr := serve(t, e, func(c net.Conn) {
					served <- executor.RunScope(context.Background(), executor.ScopeConfig{}, func(s *executor.Scope) error {
						in, err := FromConn(s, c, f, 4)
						if err != nil {
							return err
						}
						out, err := ToConn(s, c, f, 4)
						if err != nil {
							return err
						}
						defer out.Close()
						for frame := range in.Range() {
							out.Send(frame)
						}
						return nil
					})
				})
				conn := dial(t, addr)
				const n = 500
				err := executor.RunScope(context.Background(), executor.ScopeConfig{}, func(s *executor.Scope) error {
					out, err := ToConn(s, conn, f, 2)
					require.NoError(t, err)
					in, err := FromConn(s, conn, f, 2)
					require.NoError(t, err)
					require.NoError(t, s.Go(func(context.Context) error {
						for i := range n {
							out.Send(frame(i))
						}
						out.Close()
						return nil
					}))
					for i := range n {
						got, ok := in.Recv()
						require.True(t, ok)
						require.Equal(t, frame(i), got)
					}
					require.NoError(t, conn.CloseWrite())
					_, ok := in.Recv()
					require.False(t, ok)
					return nil
				})
				require.NoError(t, err)
				require.NoError(t, <-served)
			})
		})
	}
}

func frame(i int) []byte {
	return []byte(fmt.Sprint(i, strings.Repeat("x", i*37%9000)))
}

// A receiver that stops: the frames held are bounded, the peer's socket stops accepting, and afterwards nothing is lost or
// out of order.
func TestFromConnBackpressure(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		const capacity, size = 4, 32 << 10
		goOn := make(chan struct{})
		var in atomic.Pointer[Chan[[]byte]]
		got := make(chan int, 1)
		addr := serve(t, e, func(c net.Conn) {
			_ = executor.RunScope(context.Background(), executor.ScopeConfig{}, func(s *executor.Scope) error {
				ch, err := FromConn(s, c, LengthPrefixed(size), capacity)
				if err != nil {
					return err
				}
				in.Store(ch)
				<-goOn
				n := 0
				for f := range ch.Range() {
					if len(f) != size || int(f[0])|int(f[1])<<8 != n&0xffff {
						t.Errorf("frame %d is wrong", n)
					}
					n++
				}
				got <- n
				return nil
			})
		})
		conn := dial(t, addr)
		w := bufio.NewWriter(conn)
		f := make([]byte, size)
		sent := 0
		// The peer stops: a write makes no progress until its deadline while the channel is full. Only that it does matters, not
		// when: on a slow machine some deadlines pass before.
		for stopped := false; !stopped; sent++ {
			f[0], f[1] = byte(sent), byte(sent>>8)
			var buf bytes.Buffer
			b := bufio.NewWriter(&buf)
			require.NoError(t, LengthPrefixed(size).WriteFrame(b, f))
			require.NoError(t, b.Flush())
			for rest := buf.Bytes(); len(rest) > 0; {
				require.NoError(t, conn.SetWriteDeadline(time.Now().Add(500*time.Millisecond)))
				n, err := conn.Write(rest)
				rest = rest[n:]
				if err == nil {
					continue
				}
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				if ch := in.Load(); !stopped && n == 0 && ch != nil && ch.Len() == capacity {
					stopped = true
					close(goOn)
				}
			}
			require.Less(t, sent*size, 1<<30, "the socket never stops accepting")
		}
		require.NoError(t, conn.SetWriteDeadline(time.Now().Add(worldtest.Hang)))
		for range 10 {
			f[0], f[1] = byte(sent), byte(sent>>8)
			require.NoError(t, LengthPrefixed(size).WriteFrame(w, f))
			sent++
		}
		require.NoError(t, w.Flush())
		require.NoError(t, conn.CloseWrite())
		require.Equal(t, sent, <-got)
	})
}

// A peer that does not read holds the sender of frames up, and the end of the scope frees everybody.
func TestToConnBackpressure(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		ended := make(chan error, 1)
		stuck := make(chan *executor.Scope, 1)
		addr := serve(t, e, func(c net.Conn) {
			ended <- executor.RunScope(context.Background(), executor.ScopeConfig{}, func(s *executor.Scope) error {
				out, err := ToConn(s, c, LengthPrefixed(1<<20), 2)
				if err != nil {
					return err
				}
				in, err := FromConn(s, c, LengthPrefixed(1<<20), 2)
				if err != nil {
					return err
				}
				for f, sent := make([]byte, 1<<20), 0; ; sent++ {
					ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
					err := out.SendContext(ctx, f)
					cancel()
					if errors.Is(err, context.DeadlineExceeded) {
						stuck <- s
						break
					}
					if err != nil || sent > 1<<10 {
						return fmt.Errorf("%d sent: %w", sent, err)
					}
				}
				_, _ = in.Recv()
				for err = nil; err == nil; { // a slow machine may still have had room
					err = out.SendContext(context.Background(), nil)
				}
				if err != ErrClosed {
					return fmt.Errorf("after the end: %w", err)
				}
				return nil
			})
		})
		_ = dial(t, addr)
		(<-stuck).Cancel(nil)
		require.NoError(t, <-ended)
	})
}

func TestConnErrors(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		ended := make(chan error, 1)
		addr := serve(t, e, func(c net.Conn) {
			ended <- executor.RunScope(context.Background(), executor.ScopeConfig{}, func(s *executor.Scope) error {
				in, err := FromConn(s, c, LengthPrefixed(10), 2)
				if err != nil {
					return err
				}
				for range in.Range() {
				}
				return nil
			})
		})
		for data, want := range map[string]error{"\xff\xff\xff\xff": ErrFrameTooLong, "\x00\x00\x00\x09abc": io.ErrUnexpectedEOF, "\x00\x00\x00\x01a": nil} {
			c := dial(t, addr)
			_, err := c.Write([]byte(data))
			require.NoError(t, err)
			require.NoError(t, c.CloseWrite())
			require.ErrorIs(t, <-ended, want)
		}
	})
}

// A cancelled scope leaves the connection as it was: it can be read and written by others.
func TestConnAfterCancel(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		use := func(c net.Conn) error {
			ctx, cancel := context.WithCancel(context.Background())
			err := executor.RunScope(ctx, executor.ScopeConfig{}, func(s *executor.Scope) error {
				in, err := FromConn(s, c, Lines(100), 1)
				if err != nil {
					return err
				}
				if _, err = ToConn(s, c, Lines(100), 1); err != nil {
					return err
				}
				if _, ok := in.Recv(); !ok { // both are at work
					return errors.New("no line")
				}
				cancel()
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				return fmt.Errorf("the scope ended with %v", err)
			}
			if _, err := c.Write([]byte("ready\n")); err != nil {
				return err
			}
			_, err = io.ReadFull(c, make([]byte, 5))
			return err
		}
		served := make(chan error, 1)
		addr := serve(t, e, func(c net.Conn) { served <- use(c) })
		for _, ours := range []bool{true, false} { // on either end: the engine's, and the standard library's
			conn := dial(t, addr)
			if !ours {
				l, err := stdnet.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				conn = dial(t, l.Addr().String())
				c, err := l.Accept()
				require.NoError(t, err)
				require.NoError(t, l.Close())
				go func() { defer c.Close(); served <- use(c) }()
			}
			_, err := conn.Write([]byte("line\n"))
			require.NoError(t, err)
			_, err = io.ReadFull(conn, make([]byte, 6))
			require.NoError(t, err)
			_, err = conn.Write([]byte("after"))
			require.NoError(t, err)
			require.NoError(t, <-served)
		}
	})
}

func TestFramings(t *testing.T) {
	read := func(f Framing, s string) (out []string, err error) {
		for r := bufio.NewReaderSize(strings.NewReader(s), 16); ; {
			b, err := f.ReadFrame(r)
			if err != nil {
				return out, err
			}
			out = append(out, string(b))
		}
	}
	long := strings.Repeat("y", 40)
	for _, c := range []struct {
		f    Framing
		in   string
		want []string
		err  error
	}{
		{Lines(40), "a\r\n\nb\r" + "c\n" + long + "\nlast", []string{"a", "", "b\rc", long, "last"}, io.EOF},
		{Lines(39), long + "\n", nil, ErrFrameTooLong},
		{Delimited('|', 40), "a||" + long + "|", []string{"a", "", long}, io.EOF},
		{Delimited('|', 3), "abcd", nil, ErrFrameTooLong},
		{LengthPrefixed(3), "\x00\x00\x00\x00\x00\x00\x00\x03abc", []string{"", "abc"}, io.EOF},
		{LengthPrefixed(3), "\x00\x00", nil, io.ErrUnexpectedEOF},
		{LengthPrefixed(3), "\x00\x00\x00\x04", nil, ErrFrameTooLong},
	} {
		got, err := read(c.f, c.in)
		require.ErrorIs(t, err, c.err)
		require.Equal(t, c.want, got)
	}
	w := bufio.NewWriter(io.Discard)
	require.ErrorIs(t, Lines(10).WriteFrame(w, []byte("a\nb")), ErrFrameHasDelimiter)
	require.ErrorIs(t, Lines(1).WriteFrame(w, []byte("ab")), ErrFrameTooLong)
	require.ErrorIs(t, LengthPrefixed(1).WriteFrame(w, []byte("ab")), ErrFrameTooLong)
	for _, f := range []func(int) Framing{Lines, LengthPrefixed, func(n int) Framing { return Delimited(0, n) }} {
		require.Panics(t, func() { f(0) })
	}
}

func TestBridges(t *testing.T) {
	worldtest.Each(t, func(w *worldtest.World) {
		n := worldtest.Scale(50_000)
		src := make(chan int)
		w.Spawn(func() {
			err := executor.RunScope(context.Background(), executor.ScopeConfig{}, func(s *executor.Scope) error {
				c, err := FromGo(s, src, 3)
				if err != nil {
					return err
				}
				back, err := ToGo(s, c, 3)
				if err != nil {
					return err
				}
				return s.GoAs(executor.Child{Goroutine: true}, func(context.Context) error {
					want := 0
					for v := range back {
						if v != want {
							w.Errorf("%d instead of %d", v, want)
						}
						want++
					}
					if want != n {
						w.Errorf("%d values", want)
					}
					return nil
				})
			})
			if err != nil {
				w.Error(err)
			}
		})
		for i := range n {
			src <- i
		}
		close(src)
		w.Wait()

		s, err := executor.NewScope(context.Background(), executor.ScopeConfig{})
		require.NoError(w, err)
		c, err := FromGo(s, make(chan int), 0)
		require.NoError(w, err)
		d, err := ToGo(s, New[int](0), 0)
		require.NoError(w, err)
		s.Cancel(nil)
		_, ok := c.Recv()
		require.False(w, ok)
		_, ok = <-d
		require.False(w, ok)
		require.NoError(w, s.Wait())
		_, err = FromGo(s, src, 0)
		require.ErrorIs(w, err, executor.ErrScopeEnded)
		_, err = ToGo(s, c, 0)
		require.ErrorIs(w, err, executor.ErrScopeEnded)
	})
}

// A line may have as many bytes as the limit says, whichever way it ends.
func TestLinesLimit(t *testing.T) {
	for in, want := range map[string]string{"123\r\n": "123", "123\n": "123", "12\r\r\n": "12\r", "123\r": "123"} {
		frame, err := Lines(3).ReadFrame(bufio.NewReader(strings.NewReader(in)))
		require.NoError(t, err, "%q", in)
		require.Equal(t, want, string(frame))
	}
	for _, in := range []string{"1234\n", "123\r\r\n", "123\r4\n", "1234"} {
		_, err := Lines(3).ReadFrame(bufio.NewReader(strings.NewReader(in)))
		require.ErrorIs(t, err, ErrFrameTooLong, "%q", in)
	}
	_, err := Delimited('\n', 3).ReadFrame(bufio.NewReader(strings.NewReader("123\r\n")))
	require.ErrorIs(t, err, ErrFrameTooLong)
}
