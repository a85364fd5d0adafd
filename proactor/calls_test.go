//go:build linux

package proactor

import (
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// counted counts system calls on sockets.
type counted struct {
	op.System
	recvs, sends, lingers atomic.Int64
}

func (s *counted) Recv(fd int, p []byte) (int, syscall.Errno) {
	s.recvs.Add(1)
	return s.System.Recv(fd, p)
}

func (s *counted) Send(fd int, p []byte) (int, syscall.Errno) {
	s.sends.Add(1)
	return s.System.Send(fd, p)
}

func (s *counted) Lingers(fd int) bool {
	s.lingers.Add(1)
	return s.System.Lingers(fd)
}

// counting has e, which nobody uses yet, count its system calls.
func counting(e *Engine) *counted {
	s := &counted{System: e.system}
	e.system = s
	return s
}

// A connection without reading ahead, as those of Unix sockets are, makes one receive for a message, not another one before it to
// find that there is none yet.
func TestDirectReadsReceiveOnce(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		s := counting(e)
		c, peer := pair(t, e)
		c.NoReadAhead()
		require.NoError(t, e.Executor().Go(func() {
			b := make([]byte, 4096)
			for {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				if _, err := c.Write(b[:n]); err != nil {
					return
				}
			}
		}))
		const messages = 200
		b := make([]byte, 64)
		for range messages {
			_, err := peer.Write(b)
			require.NoError(t, err)
			_, err = io.ReadFull(peer, b)
			require.NoError(t, err)
		}
		// The first Read may come before the first message.
		require.LessOrEqual(t, s.recvs.Load(), int64(messages+1))
		require.LessOrEqual(t, s.sends.Load(), int64(messages))
	})
}

// What has arrived before the first Read is read by one system call, and nothing is armed for it.
func TestFirstReadIsDirect(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		s := counting(e)
		c, peer := pair(t, e)
		_, err := peer.Write([]byte("hello"))
		require.NoError(t, err)
		b := make([]byte, 3)
		_, err = c.Read(b)
		require.NoError(t, err)
		require.Equal(t, "hel", string(b))
		require.Equal(t, int64(1), s.recvs.Load())
		require.EqualValues(t, 3, c.Received())
		require.False(t, c.locked(func() bool { return c.wantRecv || c.recvOn })())
		n, err := c.Read(b)
		require.NoError(t, err)
		require.Equal(t, "lo", string(b[:n]))
		require.Equal(t, int64(1), s.recvs.Load(), "from the second Read on the engine receives ahead")
		require.NoError(t, peer.Close())
		_, err = c.Read(b)
		require.Equal(t, io.EOF, err)
	})
}

// closedListener is a listener whose descriptor nobody else has had, as long as it says so.
type closedListener struct {
	*net.TCPListener
	open atomic.Bool
}

func (l *closedListener) Sealed() bool { return !l.open.Load() }

// Whether close(2) may wait is asked of connections whose descriptor somebody has had, or their listener's, and of no others.
func TestLingerIsLookedFor(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		s := counting(e)
		l := &closedListener{TCPListener: listen(t)}
		got := make(chan *Conn, 1)
		a, err := e.Accept(l, func(c *Conn) { got <- c })
		require.NoError(t, err)
		defer a.Close()
		ends := func(want int64, why string, use func(*Conn)) {
			dial(t, l)
			c := within(t, got)
			use(c)
			before := s.lingers.Load()
			require.NoError(t, c.CloseWait())
			require.Equal(t, want, s.lingers.Load()-before, why)
		}
		ends(0, "nobody has had it", func(*Conn) {})
		ends(0, "ours", func(c *Conn) { require.NoError(t, c.CloseWrite()) })
		ends(1, "Control", func(c *Conn) { require.NoError(t, c.Control(func(int) error { return nil })) })
		ends(1, "WriteWith", func(c *Conn) { require.NoError(t, c.WriteWith(func(int) bool { return true })) })
		l.open.Store(true)
		ends(1, "the listener's", func(*Conn) {})
	})
}

// Connections inherit SO_LINGER from their listener, those that wait in its backlog also where it has been unset since.
func TestLingerIsInherited(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		s := counting(e)
		lc := net.ListenConfig{}
		lc.SetMultipathTCP(false)
		plain, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer plain.Close()
		l := plain.(*net.TCPListener)
		set := func(o unix.Linger) {
			raw, err := l.SyscallConn()
			require.NoError(t, err)
			require.NoError(t, raw.Control(func(fd uintptr) {
				require.NoError(t, unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &o))
			}))
		}
		set(unix.Linger{Onoff: 1, Linger: 1})
		dial(t, l)
		set(unix.Linger{})
		got := make(chan *Conn, 1)
		a, err := e.Accept(l, func(c *Conn) { got <- c })
		require.NoError(t, err)
		defer a.Close()
		c := within(t, got)
		require.Equal(t, int32(1), lingerSeconds(int(c.fd)), "the kernel has changed its mind")
		require.NoError(t, c.CloseWait())
		require.Equal(t, int64(1), s.lingers.Load())
	})
}
