//go:build linux

package net

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/proactor"
)

// What programs seldom do, compared with the standard library.

// TestZeroValues calls what works on a zero value.
func TestZeroValues(t *testing.T) {
	e := newEngine(t, proactor.Config{Backend: proactor.Epoll})
	program := func(c interface {
		Conn
		PacketConn
		syscall.Conn
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
		ReadFromIP([]byte) (int, *IPAddr, error)
		WriteToIP([]byte, *IPAddr) (int, error)
		ReadMsgIP(b, oob []byte) (int, int, int, *IPAddr, error)
		WriteMsgIP(b, oob []byte, addr *IPAddr) (int, int, error)
	}, l interface{ SetUnlinkOnClose(bool) }) string {
		b := make([]byte, 1)
		var got []any
		note := func(v ...any) { got = append(got, v...) }
		n, err := c.Read(b)
		note(n, err)
		n, err = c.Write(b)
		note(n, err)
		n, from, err := c.ReadFrom(b)
		note(n, from, err)
		n, err = c.WriteTo(b, &IPAddr{})
		note(n, err)
		n, ip, err := c.ReadFromIP(b)
		note(n, ip, err)
		n, err = c.WriteToIP(b, &IPAddr{})
		note(n, err)
		n, oobn, flags, ip, err := c.ReadMsgIP(b, nil)
		note(n, oobn, flags, ip, err)
		n, oobn, err = c.WriteMsgIP(b, nil, &IPAddr{})
		note(n, oobn, err)
		raw, err := c.SyscallConn()
		note(raw, err, c.LocalAddr(), c.RemoteAddr(), c.SetDeadline(time.Time{}), c.SetReadDeadline(time.Time{}),
			c.SetWriteDeadline(time.Time{}), c.SetReadBuffer(1), c.SetWriteBuffer(1), c.Close())
		l.SetUnlinkOnClose(true)
		return fmt.Sprint(got...)
	}
	want := program(new(stdnet.IPConn), new(stdnet.UnixListener))
	require.Equal(t, want, program(new(IPConn), new(UnixListener)))
	runOn(e, func() { require.Equal(t, want, program(new(IPConn), new(UnixListener))) })
}

// TestUnboundPeerFile: a socket without a peer has a file as well.
func TestUnboundPeerFile(t *testing.T) {
	compare(t, func(r *record) {
		l, d := gramPair(r, r.api.listenGram, r.api.dialGram)
		for _, c := range []unixConn{l, d} {
			f, err := c.File()
			require.NoError(t, err)
			r.err(f.Name(), f.Close())
		}
	})
}

// TestPanicInControl: a function that panics with the descriptor, or in a raw Read or Write, leaves a connection that can be
// used and closed.
func TestPanicInControl(t *testing.T) {
	try := func(r *record, c syscall.Conn) {
		raw, err := c.SyscallConn()
		require.NoError(r.t, err)
		for what, call := range map[string]func(){
			"control": func() { _ = raw.Control(func(uintptr) { panic("control") }) },
			"read":    func() { _ = raw.Read(func(uintptr) bool { panic("read") }) },
			"write":   func() { _ = raw.Write(func(uintptr) bool { panic("write") }) },
		} {
			require.PanicsWithValue(r.t, what, call)
		}
	}
	compare(t, func(r *record) {
		c, s := r.tcpPair()
		try(r, c)
		n, err := c.Write([]byte("more"))
		r.note("write", int64(n), err)
		n, err = s.Read(make([]byte, 8))
		r.note("read", int64(n), err)
		r.err("close", c.Close())
		n, err = s.Read(make([]byte, 8))
		r.note("read", int64(n), err)
	})
	onEachUDP(t, func(t *testing.T, a udpAPI) {
		a.run(t, func() {
			c, err := a.listen("udp", &UDPAddr{IP: IPv4(127, 0, 0, 1)})
			require.NoError(t, err)
			_, err = c.WriteTo([]byte("x"), c.LocalAddr()) // a coroutine takes it to the engine
			require.NoError(t, err)
			try(&record{t: t}, c)
			require.NoError(t, c.Close())
		})
	})
}

// TestAcceptedUnixWriteTo: the standard library leaves it to the kernel what an address is worth on a connection that was
// accepted. unixpacket ignores it.
func TestAcceptedUnixWriteTo(t *testing.T) {
	for _, network := range []string{"unix", "unixpacket"} {
		compare(t, func(r *record) {
			c, s := r.pair(network)
			for _, to := range []*UnixAddr{nil, {Name: "/nowhere", Net: "unixgram"}, {Name: "/nowhere", Net: network}} {
				n, err := c.(unixConn).WriteToUnix([]byte("to"), to)
				r.note(fmt.Sprint("dialled: write to ", to), int64(n), err)
				n, err = s.(unixConn).WriteToUnix([]byte("to"), to)
				r.note(fmt.Sprint("accepted: write to ", to), int64(n), err)
			}
			require.NoError(r.t, s.Close())
			_, err := s.(unixConn).WriteToUnix([]byte("to"), &UnixAddr{Name: "/nowhere", Net: network})
			r.err("closed", err)
			if network == "unixpacket" {
				n, err := c.Read(make([]byte, 8))
				r.note("read", int64(n), err)
			}
		})
	}
}

// TestUDPErrorAddresses: which address an error names, and the number beside an error of recvmsg(2).
func TestUDPErrorAddresses(t *testing.T) {
	program := func(t *testing.T, a udpAPI, network string) []string {
		x := new(transcript)
		a.run(t, func() {
			ip := IPv4(127, 0, 0, 1)
			if network == "udp6" {
				ip = IPv6loopback
			}
			l, err := a.listen(network, &UDPAddr{IP: ip})
			require.NoError(t, err)
			c, err := a.dial(network, nil, l.LocalAddr().(*UDPAddr))
			require.NoError(t, err)
			x.name(l, "LISTENER")
			x.name(c, "DIALER")
			at := l.LocalAddr().(*UDPAddr).AddrPort()
			b := make([]byte, 4)
			_, err = c.Write([]byte("first")) // a coroutine takes the sockets to the engine
			require.NoError(t, err)
			_, _, err = l.ReadFromUDPAddrPort(b)
			require.NoError(t, err)
			require.NoError(t, l.Close())
			deafUDP(t, l.LocalAddr().(*UDPAddr))
			require.NoError(t, c.SetReadDeadline(time.Now().Add(hangs)))
			_, err = c.Write([]byte("x"))
			require.NoError(t, err)
			n, oobn, flags, from, err := c.ReadMsgUDP(b, nil)
			x.note("ReadMsgUDP", n, oobn, flags, from, err)
			require.NoError(t, c.SetDeadline(time.Unix(1, 0)))
			for range 2 { // late, then closed
				for _, c := range []udpConn{c, l} {
					n, oobn, err := c.WriteMsgUDP(b, nil, nil)
					x.note("WriteMsgUDP", n, oobn, err)
					n, oobn, err = c.WriteMsgUDPAddrPort(b, nil, netip.AddrPort{})
					x.note("WriteMsgUDPAddrPort", n, oobn, err)
					n, oobn, err = c.WriteMsgUDPAddrPort(b, nil, at)
					x.note("WriteMsgUDPAddrPort", n, oobn, err)
					n, err = c.WriteToUDPAddrPort(b, at)
					x.note("WriteToUDPAddrPort", n, err)
					n, oobn, flags, from, err := c.ReadMsgUDP(b, nil)
					x.note("ReadMsgUDP", n, oobn, flags, from, err)
				}
				_ = c.Close()
			}
		})
		return x.lines
	}
	for _, network := range []string{"udp", "udp4", "udp6"} {
		if network == "udp6" && !haveIPv6() {
			continue
		}
		want := program(t, stdUDP(), network)
		onEachUDP(t, func(t *testing.T, a udpAPI) { require.Equal(t, want, program(t, a, network)) })
	}
}

// TestCopyErrors: where the standard library splices, an error has the operation of neither end.
func TestCopyErrors(t *testing.T) {
	compare(t, func(r *record) {
		for _, network := range []string{"tcp", "unix"} {
			for _, late := range []bool{false, true} {
				to, s := r.pair("tcp")
				from, far := r.pair(network)
				var names []string
				for _, a := range []Addr{s.LocalAddr(), s.RemoteAddr(), from.LocalAddr(), from.RemoteAddr()} {
					names = append(names, a.String(), "ADDRESS")
				}
				r.name(names...)
				over := make(chan error, 1)
				if late { // once what was there has been copied
					_, err := far.Write([]byte("before"))
					require.NoError(r.t, err)
					go func() {
						_, err := io.ReadFull(to, make([]byte, len("before")))
						over <- errors.Join(err, from.SetReadDeadline(past))
					}()
				} else {
					over <- nil
					require.NoError(r.t, from.Close())
				}
				n, err := s.(io.ReaderFrom).ReadFrom(from)
				r.note(fmt.Sprint(network, " to tcp, late ", late), n, err)
				require.NoError(r.t, <-over)
				n, err = s.(io.ReaderFrom).ReadFrom(io.LimitReader(from, 8))
				r.note(fmt.Sprint(network, " to tcp, limited, late ", late), n, err)
				if w, ok := from.(io.WriterTo); ok {
					n, err = w.WriteTo(s)
					r.note(fmt.Sprint(network, " written to tcp, late ", late), n, err)
				}
			}
			_, s := r.pair("tcp")
			to, _ := r.pair(network)
			require.NoError(r.t, to.Close())
			r.name(s.LocalAddr().String(), "ADDRESS", s.RemoteAddr().String(), "ADDRESS", to.RemoteAddr().String(), "ADDRESS",
				to.LocalAddr().String(), "ADDRESS")
			require.NoError(r.t, s.SetReadDeadline(time.Unix(1, 0)))
			n, err := s.(io.WriterTo).WriteTo(to)
			r.note("tcp to "+network, n, err)
		}
	})
}

// TestCopyFileLate: a file that is to go to a connection that is closed or past its deadline is not sent, and the error is that
// of the write.
func TestCopyFileLate(t *testing.T) {
	compare(t, func(r *record) {
		c, _ := r.tcpPair()
		name, _ := someFile(r.t, 100)
		send := func(limit int64) {
			f, err := os.Open(name)
			require.NoError(r.t, err)
			defer f.Close()
			n, err := c.ReadFrom(io.LimitReader(f, limit))
			at, _ := f.Seek(0, io.SeekCurrent)
			r.note(fmt.Sprint("send ", limit, " stands at ", at), n, err)
		}
		r.err("past", c.SetWriteDeadline(past))
		send(0)
		send(20)
		r.err("close", c.Close())
		send(0)
		send(20)
	})
}

// TestSpliceUnix: between TCP and a Unix stream the bytes arrive, in either direction, and the caller's limit is counted down.
func TestSpliceUnix(t *testing.T) {
	compare(t, func(r *record) {
		data := bytes.Repeat([]byte("0123456789"), 30_000)
		tin, tout := r.tcpPair()
		uin, uout := r.pair("unix")
		go func() { _, _ = uin.Write(data); _ = uin.CloseWrite() }()
		got := make(chan []byte, 1)
		go func() { b, _ := io.ReadAll(tin); got <- b }()
		limited := &io.LimitedReader{R: uout, N: 10}
		n, err := tout.ReadFrom(limited)
		r.note(fmt.Sprint("limited, left ", limited.N), n, err)
		n, err = tout.ReadFrom(uout)
		r.note("the rest", n, err)
		require.NoError(r.t, tout.CloseWrite())
		require.True(r.t, bytes.Equal(data, <-got))

		go func() { _, _ = tin.Write(data); _ = tin.CloseWrite() }()
		go func() { b, _ := io.ReadAll(uin); got <- b }()
		n, err = tout.WriteTo(uout)
		r.note("back", n, err)
		require.NoError(r.t, uout.CloseWrite())
		require.True(r.t, bytes.Equal(data, <-got))
	})
}

// TestEmptyBuffers: a list of nothing but empty slices is left as it is.
func TestEmptyBuffers(t *testing.T) {
	compareStreams(t, func(r *record, network string) {
		c, _ := r.pair(network)
		for _, list := range [][][]byte{nil, {}, {nil}, {nil, {}, nil}, {nil, []byte("a"), nil}} {
			n, left, err := slicesTo(c, list...)
			r.note(fmt.Sprint(list, " leaves ", left), n, err)
		}
	})
}

// closeRaw closes the socket of a Control that does not return, which package net would leave open.
func closeRaw(c syscall.RawConn) { _ = c.Control(func(fd uintptr) { _ = syscall.Close(int(fd)) }) }

// TestControlOfCoroutine: a panic or runtime.Goexit of Dialer.Control is its caller's, also where a coroutine dials.
func TestControlOfCoroutine(t *testing.T) {
	compare(t, func(r *record) {
		_, at := r.address("unix")
		dial := func(control func(syscall.RawConn)) {
			_, err := r.api.dialer(Dialer{Control: func(_, _ string, c syscall.RawConn) error { control(c); return nil }}).
				DialContext(r.t.Context(), "unix", at)
			r.lines = append(r.lines, fmt.Sprint("goes on after it: ", errors.Is(err, os.ErrNotExist)))
		}
		dial(func(syscall.RawConn) {})
		require.PanicsWithValue(r.t, "control", func() {
			dial(func(c syscall.RawConn) { closeRaw(c); panic("control") })
		})
	})
	e := newEngine(t, proactor.Config{Backend: proactor.Epoll})
	ended := make(chan bool, 1)
	require.NoError(t, e.Executor().Go(func() {
		normal := false
		defer func() { ended <- normal }()
		d := On(e).Dialer(Dialer{Control: func(_, _ string, c syscall.RawConn) error {
			closeRaw(c)
			runtime.Goexit()
			return nil
		}})
		_, _ = d.Dial("unix", "/nowhere")
		normal = true
	}))
	require.False(t, <-ended, "Dial has returned after runtime.Goexit")
}
