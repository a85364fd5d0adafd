//go:build linux

package net

import (
	"errors"
	"fmt"
	stdnet "net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/proactor"
)

// udpConn is what UDPConn of both packages can do.
type udpConn interface {
	Conn
	PacketConn
	syscall.Conn
	File() (*os.File, error)
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
	ReadFromUDP([]byte) (int, *UDPAddr, error)
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *UDPAddr, err error)
	ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error)
	WriteToUDP([]byte, *UDPAddr) (int, error)
	WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
	WriteMsgUDP(b, oob []byte, addr *UDPAddr) (n, oobn int, err error)
	WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error)
}

// udpAPI makes sockets, and runs steps where they are to run: on a goroutine or on a coroutine.
type udpAPI struct {
	listen func(network string, laddr *UDPAddr) (udpConn, error)
	dial   func(network string, laddr, raddr *UDPAddr) (udpConn, error)
	file   func(*os.File) (Conn, error)
	run    func(t *testing.T, f func())
}

func here(_ *testing.T, f func()) { f() }

func stdUDP() udpAPI {
	return udpAPI{
		func(n string, l *UDPAddr) (udpConn, error) { return stdnet.ListenUDP(n, l) },
		func(n string, l, r *UDPAddr) (udpConn, error) { return stdnet.DialUDP(n, l, r) }, stdnet.FileConn, here,
	}
}

func ourUDP(s *Stack, coroutine bool) udpAPI {
	a := udpAPI{
		func(n string, l *UDPAddr) (udpConn, error) { return s.ListenUDP(n, l) },
		func(n string, l, r *UDPAddr) (udpConn, error) { return s.DialUDP(n, l, r) }, s.FileConn, here,
	}
	if coroutine {
		a.run = func(t *testing.T, f func()) {
			e, err := s.engine()
			require.NoError(t, err)
			done := make(chan struct{})
			require.NoError(t, e.Executor().Go(func() { defer close(done); f() }))
			<-done
		}
	}
	return a
}

// onEachUDP runs f for every way in which a UDPConn can live.
func onEachUDP(t *testing.T, f func(t *testing.T, a udpAPI)) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		t.Run("runtime", func(t *testing.T) { f(t, ourUDP(forced(e, modeRuntime), false)) })
		t.Run("engine", func(t *testing.T) { f(t, ourUDP(forced(e, modeEngine), false)) })
		t.Run("coroutine", func(t *testing.T) { f(t, ourUDP(On(e), true)) })
	})
}

// A transcript notes what a program saw, with the ports replaced by names.
type transcript struct {
	lines []string
	names []string // port, name, …
}

func (x *transcript) name(c udpConn, name string) { x.namePort(c.LocalAddr().(*UDPAddr).Port, name) }

// namePort comes before the names that were given earlier: a port may be used again once its socket is closed.
func (x *transcript) namePort(port int, name string) {
	x.names = append([]string{fmt.Sprint(port), name}, x.names...)
}

func (x *transcript) note(step string, got ...any) {
	line := step
	for _, g := range got {
		switch v := g.(type) {
		case error:
			line += " | " + describe(v)
		case *UDPAddr:
			if v == nil {
				line += " | nil addr"
				continue
			}
			line += fmt.Sprintf(" | %v %d-byte IP, zone %q", v, len(v.IP), v.Zone)
		case []byte:
			line += fmt.Sprintf(" | %q", v)
		default:
			line += fmt.Sprintf(" | %v", v)
		}
	}
	x.lines = append(x.lines, strings.NewReplacer(x.names...).Replace(line))
}

// describe shows an error with all that a program can ask it.
func describe(err error) string {
	s := fmt.Sprintf("%T %v", err, err)
	var oe *OpError
	if errors.As(err, &oe) {
		s += fmt.Sprintf(" op=%s net=%s source=%v addr=%v inner=%T", oe.Op, oe.Net, oe.Source, oe.Addr, oe.Err)
	}
	var ne Error
	if errors.As(err, &ne) {
		s += fmt.Sprintf(" timeout=%v temporary=%v", ne.Timeout(), ne.Temporary())
	}
	return s + fmt.Sprintf(" closed=%v deadline=%v refused=%v", errors.Is(err, ErrClosed),
		errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ECONNREFUSED))
}

// program uses every method, and notes what it sees.
func udpProgram(t *testing.T, a udpAPI, network, host string) []string {
	x := new(transcript)
	ip := stdnet.ParseIP(host)
	l, err := a.listen(network, &UDPAddr{IP: ip})
	require.NoError(t, err)
	x.name(l, "LISTENER")
	d, err := a.dial(network, nil, l.LocalAddr().(*UDPAddr))
	require.NoError(t, err)
	x.name(d, "DIALER")
	defer l.Close()
	defer d.Close()
	to := d.LocalAddr().(*UDPAddr)
	at := netip.AddrPortFrom(netip.MustParseAddr(host), uint16(to.Port))
	a.run(t, func() {
		x.note("addresses", l.LocalAddr(), l.RemoteAddr(), d.LocalAddr(), d.RemoteAddr())
		must := time.Now().Add(hangs)
		x.note("deadline", l.SetDeadline(must), d.SetDeadline(must))
		buf, oob := make([]byte, 100), make([]byte, 100)
		for _, p := range []string{"hello", "", "a longer one"} {
			n, err := d.Write([]byte(p))
			x.note("Write", n, err)
			var from Addr
			n, from, err = l.ReadFrom(buf)
			x.note("ReadFrom", buf[:n], from, err)
		}
		udpReads(x, d, l, buf, oob)
		udpWrites(x, d, l, buf, to, at)
		udpWrong(x, d, l, to, at)
		udpLimits(x, d, l)
		udpSlices(x, d, l)
	})
	udpFromFile(t, x, a, d, l)
	udpEnds(t, x, a, network, ip)
	return x.lines
}

// deafUDP is an address at which nobody receives and that nobody else gets: of a socket that is connected to itself, until the
// test ends. Port 0 is any.
func deafUDP(t testing.TB, at *UDPAddr) *UDPAddr {
	c, err := stdnet.ListenUDP("udp", at)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		self, err := unix.Getsockname(int(fd))
		require.NoError(t, err)
		require.NoError(t, unix.Connect(int(fd), self))
	}))
	return c.LocalAddr().(*UDPAddr)
}

// hangs guards against hanging only.
const hangs = 2 * time.Minute

func udpReads(x *transcript, d, l udpConn, buf, oob []byte) {
	send := func() { _, _ = d.Write([]byte("0123456789")) }
	send()
	n, a, err := l.ReadFromUDP(buf[:4])
	x.note("ReadFromUDP cut", buf[:n], a, err)
	send()
	n, ap, err := l.ReadFromUDPAddrPort(buf)
	x.note("ReadFromUDPAddrPort", buf[:n], ap, err)
	send()
	n, oobn, flags, a, err := l.ReadMsgUDP(buf, oob)
	x.note("ReadMsgUDP", buf[:n], oobn, flags, a, err)
	send()
	n, oobn, flags, ap, err = l.ReadMsgUDPAddrPort(buf[:3], nil)
	x.note("ReadMsgUDPAddrPort cut", buf[:n], oobn, flags, ap, err)
	send()
	n, from, err := l.ReadFrom(nil)
	x.note("ReadFrom nothing", n, from, err)
	n, err = l.Read(nil)
	x.note("Read nothing", n, err)
	send()
	n, err = l.Read(buf)
	x.note("Read of a listener", buf[:n], err)
}

func udpWrites(x *transcript, d, l udpConn, buf []byte, to *UDPAddr, at netip.AddrPort) {
	read := func() string {
		n, err := d.Read(buf)
		return fmt.Sprint(string(buf[:n]), err)
	}
	n, err := l.WriteTo([]byte("one"), to)
	x.note("WriteTo", n, err, read())
	n, err = l.WriteToUDP([]byte("two"), to)
	x.note("WriteToUDP", n, err, read())
	n, err = l.WriteToUDPAddrPort([]byte("three"), at)
	x.note("WriteToUDPAddrPort", n, err, read())
	n, oobn, err := l.WriteMsgUDP([]byte("four"), nil, to)
	x.note("WriteMsgUDP", n, oobn, err, read())
	n, oobn, err = l.WriteMsgUDPAddrPort([]byte("five"), nil, at)
	x.note("WriteMsgUDPAddrPort", n, oobn, err, read())
	n, oobn, err = d.WriteMsgUDP([]byte("six"), nil, nil)
	x.note("WriteMsgUDP connected", n, oobn, err)
	n, oobn, err = d.WriteMsgUDPAddrPort([]byte("seven"), nil, netip.AddrPort{})
	x.note("WriteMsgUDPAddrPort connected", n, oobn, err)
	for range 2 {
		n, err := l.Read(buf)
		x.note("what they sent", buf[:n], err)
	}
	n, err = l.WriteTo(nil, to)
	x.note("WriteTo nothing", n, err, read())
}

// udpWrong calls with arguments that are wrong.
func udpWrong(x *transcript, d, l udpConn, to *UDPAddr, at netip.AddrPort) {
	n, err := l.WriteTo([]byte("x"), nil)
	x.note("WriteTo nil", n, err)
	n, err = l.WriteTo([]byte("x"), &TCPAddr{IP: to.IP, Port: 1})
	x.note("WriteTo TCP", n, err)
	n, err = l.WriteToUDP([]byte("x"), nil)
	x.note("WriteToUDP nil", n, err)
	n, err = l.WriteToUDPAddrPort([]byte("x"), netip.AddrPort{})
	x.note("WriteToUDPAddrPort invalid", n, err)
	n, _, err = l.WriteMsgUDP([]byte("x"), nil, nil)
	x.note("WriteMsgUDP nil", n, err)
	n, err = l.Write([]byte("x"))
	x.note("Write of a listener", n, err)
	n, err = d.WriteTo([]byte("x"), to)
	x.note("WriteTo connected", n, err)
	n, err = d.WriteToUDPAddrPort([]byte("x"), at)
	x.note("WriteToUDPAddrPort connected", n, err)
	n, _, err = d.WriteMsgUDP([]byte("x"), nil, to)
	x.note("WriteMsgUDP connected to", n, err)
	if to.IP.To4() != nil && l.LocalAddr().Network() == "udp" {
		six := &UDPAddr{IP: stdnet.IPv6loopback, Port: to.Port}
		n, err = l.WriteToUDP([]byte("x"), six)
		x.note("WriteToUDP other family", n, err)
		n, _, err = l.WriteMsgUDP([]byte("x"), nil, six)
		x.note("WriteMsgUDP other family", n, err)
	}
}

// slicesTo writes list to c with the Buffers of c's package, and returns how many are left of it.
func slicesTo(c Conn, list ...[]byte) (n int64, left int, err error) {
	if _, ours := c.(buffersWriter); ours {
		v := Buffers(list)
		n, err = v.WriteTo(c)
		return n, len(v), err
	}
	v := stdnet.Buffers(list)
	n, err = v.WriteTo(c)
	return n, len(v), err
}

// udpSlices are Buffers: one datagram for as many slices as one system call takes.
func udpSlices(x *transcript, d, l udpConn) {
	buf := make([]byte, 70000)
	many := func(n int) (list [][]byte) {
		for i := range n {
			list = append(list, []byte{byte(i)})
		}
		return list
	}
	for _, s := range []struct {
		datagrams int
		list      [][]byte
	}{
		{1, [][]byte{[]byte("one"), nil, []byte("two"), {}}}, {1, many(1024)}, {2, many(1025)}, {0, nil}, {0, [][]byte{nil, {}}},
		{1, [][]byte{make([]byte, 40000), make([]byte, 20000)}}, {0, [][]byte{make([]byte, 40000), make([]byte, 30000)}},
	} {
		n, left, err := slicesTo(d, s.list...)
		x.note("slices", len(s.list), n, left, err)
		for range s.datagrams {
			m, err := l.Read(buf)
			x.note("datagram", m, buf[:min(m, 8)], err)
		}
	}
	n, left, err := slicesTo(l, []byte("to"), []byte("nobody"))
	x.note("slices to nobody", n, left, err)
}

// udpFromFile is a connected socket from a file: the standard library takes it for one that is not connected.
func udpFromFile(t *testing.T, x *transcript, a udpAPI, d, l udpConn) {
	f, err := d.File()
	require.NoError(t, err)
	defer f.Close()
	other, err := a.listen("udp", &UDPAddr{IP: l.LocalAddr().(*UDPAddr).IP})
	require.NoError(t, err)
	defer other.Close()
	x.name(other, "OTHER")
	file, err := a.file(f)
	require.NoError(t, err)
	c := file.(udpConn)
	defer c.Close()
	at := other.LocalAddr().(*UDPAddr)
	must := time.Now().Add(hangs)
	x.note("deadline", other.SetDeadline(must), c.SetDeadline(must))
	a.run(t, func() {
		buf := make([]byte, 10)
		n, err := c.Write([]byte("a"))
		x.note("Write", n, err)
		n, _, err = c.WriteMsgUDP([]byte("b"), nil, nil)
		x.note("WriteMsgUDP to nobody", n, err)
		n, _, err = c.WriteMsgUDPAddrPort([]byte("b"), nil, netip.AddrPort{})
		x.note("WriteMsgUDPAddrPort to nobody", n, err)
		n, err = l.Read(buf)
		x.note("Read", buf[:n], err)
		for step, write := range []func(b []byte) (int, error){
			func(b []byte) (int, error) { return c.WriteTo(b, at) },
			func(b []byte) (int, error) { return c.WriteToUDPAddrPort(b, at.AddrPort()) },
			func(b []byte) (int, error) { n, _, err := c.WriteMsgUDP(b, nil, at); return n, err },
			func(b []byte) (int, error) { n, _, err := c.WriteMsgUDPAddrPort(b, nil, at.AddrPort()); return n, err },
		} {
			n, err = write([]byte{byte(step)})
			x.note("write elsewhere", step, n, err)
			if err != nil {
				break
			}
			n, err = other.Read(buf)
			x.note("Read", buf[:n], err)
		}
	})
}

// udpLimits are sizes, and what a peer that is not there answers.
func udpLimits(x *transcript, d, l udpConn) {
	n, err := d.Write(make([]byte, 65536))
	x.note("too large", n, err)
	n, err = l.WriteToUDP(make([]byte, 65536), d.LocalAddr().(*UDPAddr))
	x.note("WriteToUDP too large", n, err)
	big := make([]byte, 65536)
	for i := range big {
		big[i] = byte(i * 7)
	}
	n, err = d.Write(big[:60000])
	x.note("large", n, err)
	got := make([]byte, 65536)
	n, err = l.Read(got)
	x.note("large read", n, string(got[:n]) == string(big[:n]), err)
	x.note("buffers", l.SetReadBuffer(1<<16), l.SetWriteBuffer(1<<16), l.SetReadBuffer(-1))
}

// udpEnds are deadlines and Close.
func udpEnds(t *testing.T, x *transcript, a udpAPI, network string, ip IP) {
	l, err := a.listen(network, &UDPAddr{IP: ip})
	require.NoError(t, err)
	x.name(l, "SECOND")
	gone := deafUDP(t, &UDPAddr{IP: ip})
	x.namePort(gone.Port, "GONE")
	d, err := a.dial(network, nil, gone)
	require.NoError(t, err)
	x.name(d, "LONELY")
	buf := make([]byte, 10)
	a.run(t, func() {
		x.note("deadline refused", d.SetDeadline(time.Now().Add(hangs)))
		for range 2 {
			n, err := d.Write([]byte("x"))
			x.note("Write to nobody", n, err)
			n, err = d.Read(buf)
			x.note("refused", n, err)
		}
		past := time.Unix(1, 0)
		x.note("past", l.SetDeadline(past))
		n, from, err := l.ReadFrom(buf)
		x.note("ReadFrom past", n, from, err)
		n, _, flags, ap, err := l.ReadMsgUDPAddrPort(buf, nil)
		x.note("ReadMsg past", n, flags, ap, err)
		n, err = l.WriteTo([]byte("x"), d.LocalAddr())
		x.note("WriteTo past", n, err)
		sent, left, err := slicesTo(l, nil)
		x.note("no slices past", sent, left, err)
		n, err = d.Read(nil)
		x.note("Read nothing", n, err)
		x.note("Close", l.Close(), l.Close())
		n, from, err = l.ReadFrom(buf)
		x.note("ReadFrom closed", n, from, err)
		n, err = l.WriteTo([]byte("x"), d.LocalAddr())
		x.note("WriteTo closed", n, err)
		for _, list := range [][][]byte{{nil}, {[]byte("x")}} {
			sent, left, err = slicesTo(l, list...)
			x.note("slices closed", sent, left, err)
		}
		n, err = l.Write([]byte("x"))
		x.note("Write closed", n, err)
		x.note("SetDeadline closed", l.SetDeadline(past), l.SetReadBuffer(1000))
		x.note("addresses closed", l.LocalAddr(), l.RemoteAddr())
		x.note("Close of a dialer", d.Close(), d.Close())
	})
}

// TestUDPAsStandard runs one program on the standard library and on each of our modes, and compares all that it saw.
func TestUDPAsStandard(t *testing.T) {
	for _, n := range []struct{ network, host string }{
		{"udp4", "127.0.0.1"}, {"udp", "127.0.0.1"}, {"udp6", "::1"}, {"udp", "::1"},
	} {
		if strings.Contains(n.host, ":") && !haveIPv6() {
			t.Log("no IPv6 loopback here")
			continue
		}
		t.Run(n.network+" "+n.host, func(t *testing.T) {
			want := udpProgram(t, stdUDP(), n.network, n.host)
			onEachUDP(t, func(t *testing.T, a udpAPI) {
				got := udpProgram(t, a, n.network, n.host)
				for i := range want {
					require.Equal(t, want[i], got[i])
				}
				require.Len(t, got, len(want))
			})
		})
	}
}

func haveIPv6() bool {
	c, err := stdnet.ListenUDP("udp6", &UDPAddr{IP: stdnet.IPv6loopback})
	if err == nil {
		c.Close()
	}
	return err == nil
}

// TestUDPControl compares control messages.
func TestUDPControl(t *testing.T) {
	program := func(t *testing.T, a udpAPI) (lines []string) {
		l, err := a.listen("udp4", &UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		defer l.Close()
		d, err := a.dial("udp4", nil, l.LocalAddr().(*UDPAddr))
		require.NoError(t, err)
		defer d.Close()
		a.run(t, func() {
			buf := make([]byte, 10)
			_, _ = d.Write([]byte("first"))
			_, err := l.Read(buf) // moves it to the engine, where that is meant
			lines = append(lines, fmt.Sprint(err))
			set := func(c udpConn, option int) {
				var raw syscall.RawConn
				if u, ok := c.(*UDPConn); ok {
					err = u.control(func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, option, 1) })
				} else if raw, err = c.SyscallConn(); err == nil {
					err = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, option, 1) })
				}
				lines = append(lines, fmt.Sprint("option ", err))
			}
			set(l, unix.IP_PKTINFO)
			set(l, unix.IP_RECVTOS)
			for _, room := range []int{0, 8, 60, 200} {
				tos := make([]byte, unix.CmsgSpace(4))
				copy(tos, tosMessage(0x28))
				n, oobn, err := d.WriteMsgUDP([]byte("hello"), tos, nil)
				lines = append(lines, fmt.Sprint("sent ", n, oobn, err))
				oob := make([]byte, room)
				n, oobn, flags, _, err := l.ReadMsgUDP(buf, oob)
				line := fmt.Sprint("came ", n, flags, err)
				if room >= 60 || room == 0 {
					line += fmt.Sprint(oobn, oob[:oobn])
				}
				lines = append(lines, line)
			}
		})
		return lines
	}
	want := program(t, stdUDP())
	onEachUDP(t, func(t *testing.T, a udpAPI) { require.Equal(t, want, program(t, a)) })
}

// tosMessage is the control message that sets the type of service of one datagram.
func tosMessage(tos byte) []byte {
	b := make([]byte, unix.CmsgSpace(4))
	h := []byte{byte(unix.CmsgLen(4))}
	copy(b, h)
	at := unix.CmsgLen(0) - 8
	b[at], b[at+4] = unix.IPPROTO_IP, unix.IP_TOS
	b[at+8] = tos
	return b
}
