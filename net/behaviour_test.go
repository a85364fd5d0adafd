//go:build linux

package net

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/leaktest"
)

var past = time.Unix(1, 0)

// soon is a deadline that is meant to expire.
func soon() time.Time { return time.Now().Add(30 * time.Millisecond) }

func TestClosed(t *testing.T) {
	compareStreams(t, func(r *record, network string) {
		c, _ := r.pair(network)
		raw, err := c.SyscallConn()
		r.err("syscallconn", err)
		r.err("close", c.Close())
		b := make([]byte, 8)
		n, err := c.Read(b)
		r.note("read", int64(n), err)
		n, err = c.Read(nil)
		r.note("read nothing", int64(n), err)
		n, err = c.Write(b)
		r.note("write", int64(n), err)
		n, err = c.Write(nil)
		r.note("write nothing", int64(n), err)
		r.err("close again", c.Close())
		r.err("deadline", c.SetDeadline(soon()))
		r.err("read deadline", c.SetReadDeadline(soon()))
		r.err("write deadline", c.SetWriteDeadline(time.Time{}))
		r.err("close read", c.CloseRead())
		r.err("close write", c.CloseWrite())
		r.err("read buffer", c.SetReadBuffer(4096))
		r.err("write buffer", c.SetWriteBuffer(4096))
		_, err = c.File()
		r.err("file", err)
		r.err("raw control", raw.Control(func(uintptr) {}))
		r.err("raw read", raw.Read(func(uintptr) bool { return true }))
		r.err("raw write", raw.Write(func(uintptr) bool { return true }))
		if tc, ok := c.(tcpConn); ok {
			closedTCP(r, tc)
		}
	})
}

func closedTCP(r *record, c tcpConn) {
	r.err("linger", c.SetLinger(1))
	r.err("keep-alive", c.SetKeepAlive(true))
	r.err("keep-alive period", c.SetKeepAlivePeriod(time.Second))
	r.err("keep-alive config", c.SetKeepAliveConfig(KeepAliveConfig{Enable: true}))
	r.err("no delay", c.SetNoDelay(true))
	_, err := c.MultipathTCP()
	r.err("multipath", err)
	m, err := c.WriteTo(io.Discard)
	r.note("write to", m, err)
	m, err = c.ReadFrom(strings.NewReader("hello"))
	r.note("read from", m, err)
}

func TestOptions(t *testing.T) {
	compare(t, func(r *record) {
		c, _ := r.tcpPair()
		r.err("linger", c.SetLinger(1))
		r.err("linger", c.SetLinger(-1))
		r.err("keep-alive", c.SetKeepAlive(false))
		r.err("keep-alive period", c.SetKeepAlivePeriod(1<<50))
		r.err("keep-alive config", c.SetKeepAliveConfig(KeepAliveConfig{Enable: true, Count: 1 << 20}))
		r.err("no delay", c.SetNoDelay(false))
		r.err("read buffer", c.SetReadBuffer(4096))
		uses, err := c.MultipathTCP()
		r.err("multipath", err)
		require.False(r.t, uses)
	})
}

func TestDeadlines(t *testing.T) {
	compareStreams(t, func(r *record, network string) {
		c, s := r.pair(network)
		b := make([]byte, 8)
		_, err := s.Write([]byte("hello"))
		r.err("peer's write", err)
		// A deadline that is over counts even when there is data.
		r.err("past", c.SetDeadline(past))
		n, err := c.Read(b)
		r.note("read", int64(n), err)
		n, err = c.Write(b)
		r.note("write", int64(n), err)
		r.err("reset", c.SetDeadline(time.Time{}))
		n, err = io.ReadFull(c, b[:5])
		r.note("read", int64(n), err)
		r.err("expiring", c.SetReadDeadline(soon()))
		n, err = c.Read(b)
		r.note("read", int64(n), err)
		n, err = c.Write(b)
		r.note("write, no deadline", int64(n), err)
		r.err("write buffer", c.SetWriteBuffer(4096))
		patiently(r.t, 200*time.Millisecond, func(d time.Duration) bool {
			require.NoError(r.t, c.SetWriteDeadline(time.Now().Add(d)))
			n, err = fill(c, network)
			return n > 0
		})
		r.err("write", err)
		n, err = c.Write(b)
		r.note("write again", int64(n), err)
	})
}

// patiently calls f with a time that is enough where nobody else wants the CPU, and with longer ones until it says that it was.
func patiently(t testing.TB, first time.Duration, f func(d time.Duration) bool) {
	for d := first; !f(d); d *= 4 {
		require.Less(t, d, time.Minute, "not even then")
	}
}

// large is more than any socket takes. It is there before a deadline is set: to make it takes time.
var large = make([]byte, 64<<20)

// fill writes until the peer, which does not read, would have to. A packet cannot be larger than what it fits into.
func fill(c Conn, network string) (n int, err error) {
	p := large
	if network == "unixpacket" {
		p = p[:4096]
	}
	for err == nil {
		var m int
		m, err = c.Write(p)
		n += m
	}
	return n, err
}

func TestDeadlineWhileWaiting(t *testing.T) {
	compareStreams(t, func(r *record, network string) {
		c, s := r.pair(network)
		for range 3 {
			read := make(chan error, 1)
			go func() {
				_, err := c.Read(make([]byte, 8))
				read <- err
			}()
			r.err("far", c.SetReadDeadline(time.Now().Add(time.Hour)))
			r.err("past", c.SetReadDeadline(past))
			r.err("read", <-read)
			r.err("none", c.SetReadDeadline(time.Time{}))
		}
		// The connection still works.
		_, err := s.Write([]byte("x"))
		r.err("peer's write", err)
		n, err := c.Read(make([]byte, 8))
		r.note("read", int64(n), err)
	})
}

func TestCloseWhileWaiting(t *testing.T) {
	compareStreams(t, func(r *record, network string) {
		c, _ := r.pair(network)
		read, write := make(chan error, 1), make(chan error, 1)
		began := make(chan bool, 2)
		go func() {
			began <- true
			_, err := c.Read(make([]byte, 8))
			read <- err
		}()
		go func() {
			began <- true
			_, err := fill(c, network)
			write <- err
		}()
		<-began
		<-began
		time.Sleep(10 * time.Millisecond) // so that most runs find both inside; either way the result is the same
		name := socketName(c)
		r.err("close", c.Close())
		r.note("descriptors of it that Close has left", count(leaktest.Files(), name), nil)
		r.err("read", <-read)
		r.err("write", <-write)
	})
}

// socketName is what /proc/self/fd shows for c.
func socketName(c syscall.Conn) (name string) {
	raw, err := c.SyscallConn()
	if err != nil {
		return err.Error()
	}
	err = raw.Control(func(fd uintptr) {
		var st unix.Stat_t
		if err := unix.Fstat(int(fd), &st); err != nil {
			name = err.Error()
			return
		}
		name = fmt.Sprintf("socket:[%d]", st.Ino)
	})
	if err != nil {
		return err.Error()
	}
	return name
}

func count(all []string, name string) (n int64) {
	for _, x := range all {
		if x == name {
			n++
		}
	}
	return n
}

func TestEndOfStream(t *testing.T) {
	compareStreams(t, func(r *record, network string) {
		c, s := r.pair(network)
		b := make([]byte, 8)
		_, err := s.Write([]byte("bye"))
		r.err("peer's write", err)
		r.err("peer's close write", s.CloseWrite())
		n, err := io.ReadFull(c, b[:3])
		r.note("read", int64(n), err)
		for range 2 {
			n, err = c.Read(b)
			r.note("read at the end", int64(n), err)
		}
		// The other half still works.
		_, err = c.Write([]byte("well"))
		r.err("write", err)
		n, err = io.ReadFull(s, b[:4])
		r.note("peer's read", int64(n), err)
		r.err("close write", c.CloseWrite())
		n, err = s.Read(b)
		r.note("peer's read at the end", int64(n), err)
		n, err = c.Write(b)
		r.note("write after close write", int64(n), err)
		r.err("close", c.Close())
	})
}

func TestCloseRead(t *testing.T) {
	compareStreams(t, func(r *record, network string) {
		c, _ := r.pair(network)
		read := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 8))
			read <- err
		}()
		r.err("close read", c.CloseRead())
		r.err("read", <-read)
		_, err := c.Read(make([]byte, 8))
		r.err("read again", err)
		_, err = c.Write([]byte("x"))
		r.err("write", err)
	})
}

// reset has s reset c, and waits until the reset has arrived.
func reset(r *record, c, s tcpConn) {
	r.err("peer's linger", s.SetLinger(0))
	r.err("peer's close", s.Close())
	raw, err := c.SyscallConn()
	require.NoError(r.t, err)
	const tcpClose = 7 // linux/tcp.h
	require.Eventually(r.t, func() bool {
		var info *unix.TCPInfo
		var failed error
		err := raw.Control(func(fd uintptr) { info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
		return err == nil && failed == nil && info.State == tcpClose
	}, 10*time.Second, time.Millisecond)
}

func TestReset(t *testing.T) {
	for name, body := range map[string]func(r *record, c, s tcpConn){
		"read": func(r *record, c, s tcpConn) {
			reset(r, c, s)
			n, err := c.Read(make([]byte, 8))
			r.note("read", int64(n), err)
		},
		"read waiting": func(r *record, c, s tcpConn) {
			read := make(chan error, 1)
			go func() {
				_, err := c.Read(make([]byte, 8))
				read <- err
			}()
			reset(r, c, s)
			r.err("read", <-read)
		},
		"write": func(r *record, c, s tcpConn) {
			reset(r, c, s)
			n, err := c.Write(make([]byte, 8))
			r.note("write", int64(n), err)
			n, err = c.Write(make([]byte, 8))
			r.note("write again", int64(n), err)
		},
		"write after reading": func(r *record, c, s tcpConn) {
			_, err := s.Write([]byte("x"))
			r.err("peer's write", err)
			_, err = c.Read(make([]byte, 8))
			r.err("read", err)
			reset(r, c, s)
			// The receive that is armed may have taken the error from the socket and not come back yet. The standard
			// library answers EPIPE as well when another goroutine reads.
			n, err := c.Write(make([]byte, 8))
			require.True(r.t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), err)
			r.note("write", int64(n), nil)
		},
		"read after write": func(r *record, c, s tcpConn) {
			reset(r, c, s)
			n, err := c.Write(make([]byte, 8))
			r.note("write", int64(n), err)
			n, err = c.Read(make([]byte, 8))
			r.note("read", int64(n), err)
		},
		"write nothing": func(r *record, c, s tcpConn) {
			reset(r, c, s)
			for range 2 {
				n, err := c.Write(nil)
				r.note("write nothing", int64(n), err)
				n, err = c.Read(nil)
				r.note("read nothing", int64(n), err)
			}
		},
		"read twice": func(r *record, c, s tcpConn) {
			reset(r, c, s)
			n, err := c.Read(make([]byte, 8))
			r.note("read", int64(n), err)
			n, err = c.Read(make([]byte, 8))
			r.note("read again", int64(n), err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			compare(t, func(r *record) {
				c, s := r.tcpPair()
				body(r, c, s)
			})
		})
	}
}

// deafAddress is an address that nobody listens on and that nobody else gets: of a socket that is bound. (That of a listener
// that was closed may be another program's a moment later.)
func deafAddress(r *record) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { unix.Close(fd) })
	require.NoError(r.t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	sa, err := unix.Getsockname(fd)
	require.NoError(r.t, err)
	address := fmt.Sprint("127.0.0.1:", sa.(*unix.SockaddrInet4).Port)
	r.name(address, "DEAF")
	return address
}

func TestDialErrors(t *testing.T) {
	compare(t, func(r *record) {
		l, err := r.api.listen("tcp", "127.0.0.1:0")
		require.NoError(r.t, err)
		address := l.Addr().String()
		r.name(address, "ADDRESS")
		_, err = r.api.listen("tcp", address)
		r.err("listen twice", err)
		_, err = r.api.timeout("tcp", address, time.Nanosecond)
		r.err("timeout", err)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = r.api.context(ctx, "tcp", address)
		r.err("cancelled", err)
		r.err("close", l.Close())
		_, err = r.api.dial("tcp", deafAddress(r))
		r.err("refused", err)
		_, err = r.api.dial("tcp6", address)
		r.err("wrong family", err)
		for _, bad := range []string{"127.0.0.1:99999", "127.0.0.1", "", "[::1", "127.0.0.1:no-such-service"} {
			_, err = r.api.dial("tcp", bad)
			r.err("dial "+bad, err)
			if bad != "" {
				_, err = r.api.listen("tcp", bad)
				r.err("listen "+bad, err)
			}
		}
		_, err = r.api.dial("quic", address)
		r.err("unknown network", err)
		_, err = r.api.listen("quic", address)
		r.err("unknown network", err)
		_, err = r.api.dialTCP("udp", nil, nil)
		r.err("dial not TCP", err)
		_, err = r.api.dialTCP("tcp", nil, nil)
		r.err("dial no address", err)
		_, err = r.api.listenOn("udp", nil)
		r.err("listen not TCP", err)
	})
}

func TestListenerErrors(t *testing.T) {
	compareStreams(t, func(r *record, network string) {
		network, address := r.address(network)
		ln, err := r.api.listen(network, address)
		require.NoError(r.t, err)
		l := ln.(interface {
			Listener
			syscall.Conn
			SetDeadline(time.Time) error
			File() (*os.File, error)
		})
		r.name(l.Addr().String(), "ADDRESS")
		r.err("past", l.SetDeadline(past))
		_, err = l.Accept()
		r.err("accept", err)
		r.err("expiring", l.SetDeadline(soon()))
		_, err = l.Accept()
		r.err("accept", err)
		r.err("none", l.SetDeadline(time.Time{}))
		// The second listener on the address, and a file of it that makes another one.
		_, err = r.api.listen(network, l.Addr().String())
		r.err("listen twice", err)
		f, err := l.File()
		r.err("file", err)
		again, err := r.api.fileListener(f)
		r.err("file listener", err)
		r.err("file's close", f.Close())
		require.Equal(r.t, l.Addr(), again.Addr())
		r.err("other's close", again.Close())
		raw, err := l.SyscallConn()
		r.err("raw", err)
		r.err("raw control", raw.Control(func(uintptr) {}))
		r.err("raw read", raw.Read(func(uintptr) bool { return true }))
		r.err("raw write", raw.Write(func(uintptr) bool { return true }))
		// Only now: a file made into a listener is in blocking mode for a moment, and so is l, which would hold an Accept up.
		accept := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			accept <- err
		}()
		r.err("close", l.Close())
		r.err("accept while closed", <-accept)
		_, err = l.Accept()
		r.err("accept", err)
		r.err("close again", l.Close())
		r.err("deadline", l.SetDeadline(soon()))
		_, err = l.File()
		r.err("file", err)
		r.err("raw control", raw.Control(func(uintptr) {}))
	})
}

func TestCopies(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	compare(t, func(r *record) {
		c, s := r.tcpPair()
		c2, s2 := r.tcpPair()
		sent := make(chan error, 1)
		go func() {
			_, err := c.ReadFrom(bytes.NewReader(data))
			_ = c.CloseWrite()
			sent <- err
		}()
		passed := make(chan error, 1)
		go func() {
			_, err := io.Copy(s2, s) // from connection to connection
			_ = s2.CloseWrite()
			passed <- err
		}()
		var got bytes.Buffer
		n, err := c2.WriteTo(&got)
		r.note("write to", n, err)
		r.err("read from", <-sent)
		r.err("copy", <-passed)
		require.True(r.t, bytes.Equal(data, got.Bytes()))
		limited := &io.LimitedReader{R: s, N: 100}
		n, err = s2.ReadFrom(limited)
		r.note("read from the end", n, err)
	})
}
