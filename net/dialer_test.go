//go:build linux

package net

import (
	"context"
	"errors"
	"fmt"
	stdnet "net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Every setting of a Dialer does what it does in the standard library.
func TestDialer(t *testing.T) {
	errControl := errors.New("no control")
	compare(t, func(r *record) {
		l, err := r.api.listen("tcp", "127.0.0.1:0")
		require.NoError(r.t, err)
		defer l.Close()
		address := l.Addr().String()
		_, port, err := SplitHostPort(address)
		require.NoError(r.t, err)
		r.name(address, "ADDRESS", port, "PORT")
		dial := func(what string, ctx context.Context, d Dialer, network, address string) Conn {
			c, err := r.api.dialer(d).DialContext(ctx, network, address)
			r.err(what, err)
			if err != nil {
				return nil
			}
			r.t.Cleanup(func() { c.Close() })
			return c
		}
		ctx := context.Background()
		var mu sync.Mutex
		var calls []string
		control := func(network, address string, c syscall.RawConn) error {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, network+" "+address)
			return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, 3) })
		}
		c := dial("control", ctx, Dialer{Control: control}, "tcp", address)
		require.Equal(r.t, 3, option(r.t, c, unix.SOL_SOCKET, unix.SO_PRIORITY))
		type key struct{}
		dial("control context", context.WithValue(ctx, key{}, "value"), Dialer{
			Control: func(string, string, syscall.RawConn) error { panic("ControlContext comes first") },
			ControlContext: func(ctx context.Context, network, address string, c syscall.RawConn) error {
				calls = append(calls, network+" "+address+" "+ctx.Value(key{}).(string))
				return nil
			},
		}, "tcp", address)
		r.lines = append(r.lines, r.names.Replace(fmt.Sprint(calls)))
		dial("failing control", ctx, Dialer{Control: func(string, string, syscall.RawConn) error { return errControl }}, "tcp", address)
		c = dial("local address", ctx, Dialer{LocalAddr: &TCPAddr{IP: IPv4(127, 0, 0, 2)}}, "tcp", address)
		r.lines = append(r.lines, c.LocalAddr().(*TCPAddr).IP.String())
		dial("wrong local address", ctx, Dialer{LocalAddr: &UDPAddr{}}, "tcp", address)
		dial("local address of the other family", ctx, Dialer{LocalAddr: &TCPAddr{IP: IPv6loopback}}, "tcp", address)
		for _, k := range []Dialer{
			{}, {KeepAlive: -1}, {KeepAlive: 77 * time.Second},
			{KeepAliveConfig: KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 6 * time.Second, Count: 7}},
		} {
			c = dial("keep-alive", ctx, k, "tcp", address)
			r.lines = append(r.lines, fmt.Sprint(option(r.t, c, unix.SOL_SOCKET, unix.SO_KEEPALIVE),
				option(r.t, c, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), option(r.t, c, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL),
				option(r.t, c, unix.IPPROTO_TCP, unix.TCP_KEEPCNT), option(r.t, c, unix.IPPROTO_TCP, unix.TCP_NODELAY)))
		}
		dial("deadline that is over", ctx, Dialer{Deadline: time.Now().Add(-time.Second)}, "tcp", address)
		dial("timeout", ctx, Dialer{Timeout: time.Nanosecond}, "tcp", address)
		// A dial that hangs in the lookup, as one that is quick may win against Cancel.
		cancelled := make(chan struct{})
		close(cancelled)
		hanging := &Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		_, err = r.api.dialer(Dialer{Cancel: cancelled, Resolver: hanging}).DialContext(ctx, "tcp", "name.invalid:"+port)
		var op *OpError
		require.True(r.t, errors.As(err, &op), err)
		r.lines = append(r.lines, fmt.Sprintf("%T %s %s", err, op.Op, op.Net))
		over, cancel := context.WithCancel(ctx)
		cancel()
		dial("context that is over", over, Dialer{}, "tcp", address)
		asked := 0
		failing := &Resolver{PreferGo: true, Dial: func(context.Context, string, string) (Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			return nil, errControl
		}}
		_, err = r.api.dialer(Dialer{Resolver: failing}).DialContext(ctx, "tcp", "name.invalid:"+port)
		var dns *DNSError
		require.True(r.t, errors.As(err, &dns), err)
		require.Positive(r.t, asked)
		r.lines = append(r.lines, fmt.Sprintf("%T %v %v", err, dns.Name, dns.IsNotFound))
		d := r.api.dialer(Dialer{})
		r.lines = append(r.lines, fmt.Sprint(d.MultipathTCP()))
		d.SetMultipathTCP(true)
		r.lines = append(r.lines, fmt.Sprint(d.MultipathTCP()))
		mc, err := d.DialContext(ctx, "tcp", address)
		r.err("multipath", err)
		mc.Close()
	})
}

func option(t testing.TB, c Conn, level, name int) (v int) {
	raw, err := c.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { v, err = unix.GetsockoptInt(int(fd), level, name) }))
	require.NoError(t, err)
	return v
}

// Of the addresses of a name the family that answers is taken, also when the first one does not.
func TestHappyEyeballs(t *testing.T) {
	if !hasIPv6() {
		t.Skip("no IPv6 on loopback")
	}
	addrs, err := LookupHost("localhost")
	if err != nil || len(addrs) < 2 {
		t.Skip("localhost has one family only: ", addrs, err)
	}
	compare(t, func(r *record) {
		for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
			for _, delay := range []time.Duration{0, -1, time.Millisecond} {
				l, release := listenAlone(r, "tcp", listen)
				_, port, err := SplitHostPort(l.Addr().String())
				require.NoError(r.t, err)
				c, err := r.api.dialer(Dialer{FallbackDelay: delay}).DialContext(context.Background(), "tcp", "localhost:"+port)
				r.err("dial", err)
				r.lines = append(r.lines, c.RemoteAddr().(*TCPAddr).IP.String())
				c.Close()
				l.Close()
				release()
			}
		}
	})
}

// listenAlone listens at a port that nobody listens on in the other family, nor can: a socket that is bound keeps it until it is
// released.
func listenAlone(r *record, network, address string) (l Listener, release func()) {
	for {
		l, err := r.api.listen(network, address)
		require.NoError(r.t, err)
		at := l.Addr().(*TCPAddr)
		family, other := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: at.Port, Addr: [4]byte{127, 0, 0, 1}})
		if at.IP.To4() != nil {
			family, other = unix.AF_INET6, &unix.SockaddrInet6{Port: at.Port, Addr: [16]byte{15: 1}}
		}
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(fd, other)
		}
		if err != unix.EADDRINUSE { // another error: there is no such family here
			return l, func() { unix.Close(fd) }
		}
		unix.Close(fd)
		l.Close()
	}
}

// A listener without an address hears both families, one of tcp4 or tcp6 its own, and all have SO_REUSEADDR and the
// system's backlog.
func TestDualStack(t *testing.T) {
	compare(t, func(r *record) {
		for _, network := range []string{"tcp", "tcp4", "tcp6"} {
			l, err := r.api.listen(network, ":0")
			r.err("listen "+network, err)
			if err != nil {
				continue
			}
			if network != "tcp" {
				l.Close()
				var release func()
				l, release = listenAlone(r, network, ":0")
				defer release()
			}
			port := l.Addr().(*TCPAddr).Port
			require.NotZero(r.t, port)
			raw, err := l.(syscall.Conn).SyscallConn()
			require.NoError(r.t, err)
			require.NoError(r.t, raw.Control(func(fd uintptr) {
				reuse, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR)
				info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
				require.NoError(r.t, err)
				r.lines = append(r.lines, fmt.Sprint(network, reuse, info.Sacked)) // of a listener Sacked is the backlog
			}))
			for _, host := range []string{"127.0.0.1", "::1"} {
				c, err := stdnet.DialTimeout("tcp", JoinHostPort(host, fmt.Sprint(port)), time.Minute)
				r.lines = append(r.lines, fmt.Sprint(network, host, err == nil))
				if err == nil {
					c.Close()
				}
			}
			l.Close()
		}
	})
}

// A resolver that the program sets is used by dials and lookups; one that is set in the standard library too.
func TestDefaultResolver(t *testing.T) {
	var asked atomic.Int32 // lookups ask from goroutines of their own
	counting := &Resolver{PreferGo: true, Dial: func(context.Context, string, string) (Conn, error) {
		asked.Add(1)
		return nil, errors.New("no resolver")
	}}
	for _, which := range []**Resolver{&DefaultResolver, &stdnet.DefaultResolver} {
		was := *which
		*which = counting
		asked.Store(0)
		_, err := LookupHost("name.invalid")
		require.Error(t, err)
		require.Positive(t, asked.Load())
		asked.Store(0)
		_, err = Dial("tcp", "name.invalid:1")
		require.Error(t, err)
		require.Positive(t, asked.Load())
		*which = was
	}
}
