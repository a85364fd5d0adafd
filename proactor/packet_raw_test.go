//go:build linux

package proactor

import (
	"context"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/op"
)

// recvWith receives one packet by ReadWith.
func recvWith(c *PacketConn) (string, error) {
	b := make([]byte, 100)
	n := -1
	var failed error
	err := c.ReadWith(func(fd int) bool {
		n, _, failed = unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		return failed != unix.EAGAIN
	})
	if err == nil {
		err = failed
	}
	return string(b[:max(n, 0)]), err
}

// TestPacketRaw: packets that were received ahead are not skipped, and after them callers and the engine's own reads see
// the same socket.
func TestPacketRaw(t *testing.T) {
	withEngines(t, Config{}, func(t *testing.T, e *Engine) {
		c, addr := packetSocket(t, e)
		peer := udpPeer(t, addr)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(hangs)))
		b := make([]byte, 100)

		// The engine receives, and has something that nobody has read.
		_, err := peer.Write([]byte("first"))
		require.NoError(t, err)
		r, err := c.Receive(b, nil)
		require.NoError(t, err)
		require.Equal(t, "first", string(b[:r.N]))
		c.Inject(nil, nil, []byte("ahead"), 0)
		_, err = recvWith(c)
		require.ErrorIs(t, err, ErrReadAhead)
		r, err = c.Receive(b, nil)
		require.NoError(t, err)
		require.Equal(t, "ahead", string(b[:r.N]))

		for range 3 {
			_, err = peer.Write([]byte("raw"))
			require.NoError(t, err)
			s, err := recvWith(c)
			require.NoError(t, err)
			require.Equal(t, "raw", s)
			_, err = peer.Write([]byte("own"))
			require.NoError(t, err)
			r, err = c.Receive(b, nil)
			require.NoError(t, err)
			require.Equal(t, "own", string(b[:r.N]))
			require.Equal(t, peer.LocalAddr().String(), r.From.String())
			_, err = peer.Write(nil)
			require.NoError(t, err)
			r, err = c.Receive(b, nil)
			require.NoError(t, err)
			require.Zero(t, r.N, "an empty datagram is one")
		}

		// What ends a wait.
		for name, wait := range map[string]func() error{
			"ReadWith": func() error { _, err := recvWith(c); return err },
			"Receive":  func() error { _, err := c.Receive(b, nil); return err },
		} {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
			require.ErrorIs(t, wait(), os.ErrDeadlineExceeded, name)
			require.NoError(t, c.SetReadDeadline(time.Now().Add(hangs)))
		}
		ended := make(chan error, 2)
		go func() { _, err := recvWith(c); ended <- err }()
		go func() { _, err := c.Receive(make([]byte, 1), nil); ended <- err }()
		for end := time.Now().Add(hangs); ; time.Sleep(time.Millisecond) {
			c.mu.Lock()
			n := len(c.readers)
			c.mu.Unlock()
			if n == 2 {
				break
			}
			require.True(t, time.Now().Before(end))
		}
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-ended, ErrClosed)
		require.ErrorIs(t, <-ended, ErrClosed)
		require.ErrorIs(t, c.ReadWith(func(int) bool { panic("closed") }), ErrClosed)
		require.ErrorIs(t, c.WriteWith(func(int) bool { panic("closed") }), ErrClosed)
	})
}

// TestPacketRawWrite: WriteWith waits for room, until the deadline.
func TestPacketRawWrite(t *testing.T) {
	withEngines(t, Config{}, func(t *testing.T, e *Engine) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|e.FileFlags(), 0)
		require.NoError(t, err)
		c, err := e.NewPacketConn(fds[0])
		require.NoError(t, err)
		defer c.Close()
		defer unix.Close(fds[1])
		require.NoError(t, unix.SetNonblock(fds[1], true))
		send := func() error {
			var failed error
			err := c.WriteWith(func(fd int) bool {
				failed = unix.Sendto(fd, []byte("x"), unix.MSG_DONTWAIT, nil)
				return failed != unix.EAGAIN
			})
			if err == nil {
				err = failed
			}
			return err
		}
		sent := 0 // until there is no room, however long that takes: only then may the deadline decide
		for errno := error(nil); errno == nil; {
			require.NoError(t, c.WriteWith(func(fd int) bool {
				errno = unix.Sendto(fd, []byte("x"), unix.MSG_DONTWAIT, nil)
				return true
			}))
			if errno == nil {
				sent++
			} else {
				require.Equal(t, unix.EAGAIN, errno)
			}
		}
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
		require.ErrorIs(t, send(), os.ErrDeadlineExceeded)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(hangs)))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		n, err := c.WriteMsgsContext(ctx, []dgram.Msg{message([]byte("never"), nil)})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Zero(t, n)
		_, err = c.WriteMsgsContext(ctx, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		ended := make(chan error, 1)
		go func() { ended <- send() }()
		for range sent {
			n, err := unix.Read(fds[1], make([]byte, 10))
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		require.NoError(t, <-ended)
		require.NoError(t, c.Close())
	})
}

// TestPacketNoReadAhead: a switch while readers wait loses nothing and doubles nothing.
func TestPacketNoReadAhead(t *testing.T) {
	withEngines(t, Config{}, func(t *testing.T, e *Engine) {
		const readers, each = 4, 50
		c, addr := packetSocket(t, e)
		peer := udpPeer(t, addr)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(hangs)))
		var got sync.Map
		var wg sync.WaitGroup
		for range readers {
			wg.Add(1)
			require.NoError(t, e.Executor().Go(func() {
				defer wg.Done()
				for range each {
					b := make([]byte, 10)
					r, err := c.Receive(b, nil)
					if err != nil {
						t.Error(err)
						return
					}
					if _, twice := got.LoadOrStore(string(b[:r.N]), true); twice {
						t.Errorf("%q came twice", b[:r.N])
					}
				}
			}))
		}
		for i := range readers * each {
			if i == readers*each/2 {
				c.NoReadAhead()
			}
			_, err := peer.Write([]byte{byte(i), byte(i >> 8), 'x'})
			require.NoError(t, err)
		}
		wg.Wait()
	})
}

// TestReceiveContext: the end of a context ends its wait and no other.
func TestReceiveContext(t *testing.T) {
	withEngines(t, Config{}, func(t *testing.T, e *Engine) {
		for _, direct := range []bool{false, true} {
			c, addr := packetSocket(t, e)
			peer := udpPeer(t, addr)
			require.NoError(t, c.SetReadDeadline(time.Now().Add(hangs)))
			if direct {
				c.NoReadAhead()
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended, other := make(chan error, 1), make(chan string, 1)
			go func() {
				_, err := c.ReceiveContext(ctx, make([]byte, 10), nil)
				ended <- err
			}()
			go func() {
				b := make([]byte, 10)
				r, err := c.Receive(b, nil)
				if err != nil {
					t.Error(err)
				}
				other <- string(b[:r.N])
			}()
			for end := time.Now().Add(hangs); ; time.Sleep(time.Millisecond) {
				c.mu.Lock()
				n := len(c.readers)
				c.mu.Unlock()
				if n == 2 {
					break
				}
				require.True(t, time.Now().Before(end))
			}
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
			_, err := c.ReceiveContext(ctx, nil, nil)
			require.ErrorIs(t, err, context.Canceled)
			_, err = peer.Write([]byte("late"))
			require.NoError(t, err)
			require.Equal(t, "late", <-other)
			require.NoError(t, c.Close())
		}
	})
}

// interrupted has something happen during each receive of one packet, and then finds nothing.
type interrupted struct {
	op.Datagrams
	by func()
}

func (d *interrupted) RecvMsg(int, *unix.Msghdr) (int, syscall.Errno) {
	d.by()
	return 0, syscall.EAGAIN
}

// TestPacketRawEndsDuringTheCall: what ends a wait ends the reader also where it comes while he is in his system call.
func TestPacketRawEndsDuringTheCall(t *testing.T) {
	closing := make(chan error, 1)
	ends := map[error]func(c *PacketConn, cancel func()){
		ErrClosed:              func(c *PacketConn, _ func()) { go func() { closing <- c.Close() }() },
		context.Canceled:       func(_ *PacketConn, cancel func()) { cancel() },
		os.ErrDeadlineExceeded: func(c *PacketConn, _ func()) { _ = c.SetReadDeadline(time.Unix(1, 0)) },
	}
	withEngines(t, Config{Workers: 1}, func(t *testing.T, e *Engine) {
		for want, end := range ends {
			c, _ := packetSocket(t, e)
			c.NoReadAhead()
			ctx, cancel := context.WithCancel(t.Context())
			e.datagrams = &interrupted{&kernel{}, sync.OnceFunc(func() {
				end(c, cancel)
				time.Sleep(10 * time.Millisecond) // it has come to an end by then, or nothing is tested
			})}
			got := make(chan error, 1)
			go func() {
				_, err := c.ReceiveContext(ctx, make([]byte, 10), nil)
				got <- err
			}()
			require.ErrorIs(t, within(t, got), want)
			if want == ErrClosed {
				require.NoError(t, within(t, closing))
			}
			cancel()
		}
	})
}
