//go:build linux

package net

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/proactor"
)

// api is what a behaviour test may use: the standard library's functions, or ours.
type api struct {
	dial         func(network, address string) (Conn, error)
	timeout      func(network, address string, d time.Duration) (Conn, error)
	context      func(ctx context.Context, network, address string) (Conn, error)
	listen       func(network, address string) (Listener, error)
	dialTCP      func(network string, laddr, raddr *TCPAddr) (Conn, error)
	listenOn     func(network string, laddr *TCPAddr) (Listener, error)
	fileConn     func(*os.File) (Conn, error)
	fileListener func(*os.File) (Listener, error)
	dialer       func(Dialer) dialerOf
	listenGram   func(network string, laddr *UnixAddr) (unixConn, error)
	dialGram     func(network string, laddr, raddr *UnixAddr) (unixConn, error)
}

// streamConn is what TCPConn and UnixConn of both packages can do.
type streamConn interface {
	Conn
	syscall.Conn
	CloseRead() error
	CloseWrite() error
	File() (*os.File, error)
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
}

// tcpConn is what both TCPConns can do.
type tcpConn interface {
	streamConn
	io.ReaderFrom
	io.WriterTo
	MultipathTCP() (bool, error)
	SetKeepAlive(bool) error
	SetKeepAliveConfig(KeepAliveConfig) error
	SetKeepAlivePeriod(time.Duration) error
	SetLinger(int) error
	SetNoDelay(bool) error
}

// unixConn is what both UnixConns can do.
type unixConn interface {
	streamConn
	PacketConn
	ReadFromUnix([]byte) (int, *UnixAddr, error)
	WriteToUnix([]byte, *UnixAddr) (int, error)
	ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *UnixAddr, err error)
	WriteMsgUnix(b, oob []byte, addr *UnixAddr) (n, oobn int, err error)
}

var (
	_ tcpConn = (*TCPConn)(nil)
	_ tcpConn = (*stdnet.TCPConn)(nil)

	_ unixConn = (*UnixConn)(nil)
	_ unixConn = (*stdnet.UnixConn)(nil)
)

func stdAPI() api {
	return api{
		fileConn: stdnet.FileConn, fileListener: stdnet.FileListener, dialer: stdDialer, dial: stdnet.Dial, timeout: stdnet.DialTimeout, listen: stdnet.Listen,
		context: new(stdnet.Dialer).DialContext,
		dialTCP: func(network string, l, r *TCPAddr) (Conn, error) {
			c, err := stdnet.DialTCP(network, l, r)
			return c, err
		},
		listenOn: func(network string, a *TCPAddr) (Listener, error) {
			l, err := stdnet.ListenTCP(network, a)
			return l, err
		},
		listenGram: func(network string, a *UnixAddr) (unixConn, error) { return stdnet.ListenUnixgram(network, a) },
		dialGram:   func(network string, l, r *UnixAddr) (unixConn, error) { return stdnet.DialUnix(network, l, r) },
	}
}

func ourAPI(s *Stack) api {
	return api{
		fileConn: s.FileConn, fileListener: s.FileListener, dialer: func(d Dialer) dialerOf { return s.Dialer(d) }, dial: s.Dial, timeout: s.DialTimeout, listen: s.Listen,
		context: s.Dialer(Dialer{}).DialContext,
		dialTCP: func(network string, l, r *TCPAddr) (Conn, error) {
			c, err := s.DialTCP(network, l, r)
			return c, err
		},
		listenOn: func(network string, a *TCPAddr) (Listener, error) {
			l, err := s.ListenTCP(network, a)
			return l, err
		},
		listenGram: func(network string, a *UnixAddr) (unixConn, error) { return s.ListenUnixgram(network, a) },
		dialGram:   func(network string, l, r *UnixAddr) (unixConn, error) { return s.DialUnix(network, l, r) },
	}
}

// dialerOf is what both Dialers can do alike.
type dialerOf interface {
	DialContext(ctx context.Context, network, address string) (Conn, error)
	MultipathTCP() bool
	SetMultipathTCP(bool)
}

// stdDialer is the standard library's Dialer with the same settings.
func stdDialer(d Dialer) dialerOf { return d.std() }

// record is what a behaviour test has seen, one line per result, with the addresses replaced by names.
type record struct {
	t     *testing.T
	api   api
	names *strings.Replacer
	lines []string
}

func (r *record) name(pairs ...string) { r.names = strings.NewReplacer(pairs...) }

// note takes down a result. n < 0 leaves it out.
func (r *record) note(what string, n int64, err error) {
	line := what + ": "
	if n >= 0 {
		line += fmt.Sprintf("n=%d ", n)
	}
	line += r.describe(err)
	if r.names != nil {
		line = r.names.Replace(line)
	}
	r.lines = append(r.lines, line)
}

// err takes down an error.
func (r *record) err(what string, err error) { r.note(what, -1, err) }

// describe tells everything that a program can find out about an error.
func (r *record) describe(err error) string {
	if err == nil {
		return "nil"
	}
	s := fmt.Sprintf("%T %q", err, err)
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch v := e.(type) {
		case *OpError:
			s += fmt.Sprintf(" OpError{%s %s %T %v %T %v}", v.Op, v.Net, v.Source, v.Source, v.Addr, v.Addr)
		case *os.SyscallError:
			s += fmt.Sprintf(" SyscallError{%s %v}", v.Syscall, v.Err)
		default:
			s += fmt.Sprintf(" %T{%v}", e, e)
		}
	}
	var ne Error
	if errors.As(err, &ne) {
		s += fmt.Sprintf(" timeout=%v temporary=%v", ne.Timeout(), ne.Temporary()) //nolint:staticcheck // part of the API
	}
	for name, target := range map[string]error{"closed": ErrClosed, "oserr": os.ErrDeadlineExceeded, "eof": io.EOF} {
		if errors.Is(err, target) {
			s += " is-" + name
		}
	}
	for _, errno := range []syscall.Errno{syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.EPIPE, syscall.EINVAL, syscall.EADDRINUSE} {
		if errors.Is(err, errno) {
			s += " is-" + errno.Error()
		}
	}
	s += fmt.Sprintf(" is-canceled=%v", errors.Is(err, context.Canceled))
	return s
}

// The networks with streams; "abstract" is unix with a name that is no file.
var streamNetworks = []string{"tcp", "tcp4", "tcp6", "unix", "abstract", "unixpacket"}

// address is one to listen on.
func (r *record) address(network string) (string, string) {
	switch network {
	case "tcp6":
		return network, "[::1]:0"
	case "unix", "unixpacket":
		dir, err := os.MkdirTemp("", "ouro") // t.TempDir is too long a name for a socket
		require.NoError(r.t, err)
		r.t.Cleanup(func() { os.RemoveAll(dir) })
		return network, dir + "/s"
	case "abstract":
		return "unix", fmt.Sprintf("@ouro-%d-%d", os.Getpid(), abstractNames.Add(1))
	}
	return network, "127.0.0.1:0"
}

var abstractNames atomic.Int64

// pair connects two connections and names their addresses.
func (r *record) pair(network string) (client, server streamConn) {
	network, address := r.address(network)
	l, err := r.api.listen(network, address)
	require.NoError(r.t, err)
	defer l.Close()
	type accepted struct {
		c   Conn
		err error
	}
	got := make(chan accepted, 1)
	go func() {
		c, err := l.Accept()
		got <- accepted{c, err}
	}()
	c, err := r.api.dial(network, l.Addr().String())
	require.NoError(r.t, err)
	a := <-got
	require.NoError(r.t, a.err)
	r.t.Cleanup(func() { c.Close(); a.c.Close() })
	if tcp, ok := c.LocalAddr().(*TCPAddr); ok {
		r.name(tcp.String(), "CLIENT", c.RemoteAddr().String(), "SERVER")
		r.lines = append(r.lines, fmt.Sprint("address of ", len(tcp.IP)))
	} else {
		r.name(l.Addr().String(), "SERVER")
	}
	for _, addr := range []Addr{c.LocalAddr(), c.RemoteAddr(), a.c.LocalAddr(), a.c.RemoteAddr()} {
		r.lines = append(r.lines, fmt.Sprintf("%T %s %s", addr, addr.Network(), r.names.Replace(addr.String())))
	}
	return c.(streamConn), a.c.(streamConn)
}

// tcpPair is pair for what only TCP has.
func (r *record) tcpPair() (client, server tcpConn) {
	c, s := r.pair("tcp")
	return c.(tcpConn), s.(tcpConn)
}

// compareStreams is compare for each network with streams.
func compareStreams(t *testing.T, body func(r *record, network string)) {
	for _, network := range streamNetworks {
		t.Run(network, func(t *testing.T) {
			if network == "tcp6" && !hasIPv6() {
				t.Skip("no IPv6 on loopback")
			}
			compare(t, func(r *record) { body(r, network) })
		})
	}
}

func hasIPv6() bool {
	l, err := stdnet.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// compare runs body against the standard library, and then against ours on each backend, in each mode, on goroutines
// and on coroutines. What it records must be the same.
func compare(t *testing.T, body func(r *record)) {
	run := func(t *testing.T, a api, on func(func())) []string {
		r := &record{t: t, api: a}
		on(func() { body(r) })
		return r.lines
	}
	want := run(t, stdAPI(), func(f func()) { f() })
	require.NotEmpty(t, want)
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		direct := func(f func()) { f() }
		coroutine := func(f func()) { runOn(e, f) }
		for _, v := range []struct {
			name   string
			policy modePolicy
			on     func(func())
		}{
			{"engine", modeEngine, direct}, {"runtime", modeRuntime, direct},
			{"engine-coroutine", modeEngine, coroutine}, {"runtime-coroutine", modeRuntime, coroutine},
		} {
			t.Run(v.name, func(t *testing.T) {
				got := run(t, ourAPI(forced(e, v.policy)), v.on)
				require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
			})
		}
	})
}
