//go:build linux

package dgram

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		addr  string
		inet6 bool
		zone  uint32
		want  string
	}{
		{"127.0.0.1:80", false, 0, "127.0.0.1:80"},
		{"[::ffff:10.1.2.3]:65535", false, 0, "10.1.2.3:65535"},
		{"10.1.2.3:1", true, 0, "[::ffff:10.1.2.3]:1"},
		{"[2001:db8::1]:53", true, 0, "[2001:db8::1]:53"},
		{"[fe80::1]:53", true, 3, "[fe80::1]:53"},
	} {
		b := make([]byte, NameBytes)
		for i := range b {
			b[i] = 0xff
		}
		n := PutName(b, netip.MustParseAddrPort(c.addr), c.zone, c.inet6)
		require.NotZero(t, n, c.addr)
		ap, zone := ParseName(b[:n])
		require.Equal(t, c.want, ap.String())
		require.Equal(t, c.zone, zone)
		short, _ := ParseName(b[:n-1])
		require.False(t, short.IsValid())
	}
	require.Zero(t, PutName(make([]byte, NameBytes), netip.MustParseAddrPort("[::1]:1"), 0, false))
	require.Zero(t, PutName(make([]byte, NameBytes), netip.AddrPort{}, 0, true))
	require.Zero(t, PutName(make([]byte, NameBytes), netip.AddrPort{}, 0, false))
}

// TestNamesOfKernel holds PutName against what the kernel says of a bound socket.
func TestNamesOfKernel(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	sa, err := unix.Getsockname(fd)
	require.NoError(t, err)
	to := sa.(*unix.SockaddrInet4)
	name := make([]byte, NameBytes)
	n := PutName(name, netip.AddrPortFrom(netip.AddrFrom4(to.Addr), uint16(to.Port)), 0, false)

	var ms [3]Msg
	var iov [3]unix.Iovec
	payload := []byte("abc")
	for i := range ms {
		iov[i].Base = &payload[i]
		iov[i].SetLen(1)
		ms[i].Hdr = unix.Msghdr{Name: &name[0], Namelen: uint32(n), Iov: &iov[i]}
		ms[i].Hdr.SetIovlen(1)
	}
	sent, errno := Send(fd, ms[:], 0)
	require.Zero(t, errno)
	require.Equal(t, 3, sent)

	var got [4]Msg
	in := make([]byte, 4)
	from := make([]byte, 4*NameBytes)
	var into [4]unix.Iovec
	for i := range got {
		into[i].Base = &in[i]
		into[i].SetLen(1)
		got[i].Hdr = unix.Msghdr{Name: &from[i*NameBytes], Namelen: NameBytes, Iov: &into[i]}
		got[i].Hdr.SetIovlen(1)
	}
	came, errno := Recv(fd, got[:], 0)
	require.Zero(t, errno)
	require.Equal(t, 3, came)
	require.Equal(t, "abc\x00", string(in))
	for i := range came {
		require.EqualValues(t, 1, got[i].N)
		require.Equal(t, name[:n], from[i*NameBytes:][:got[i].Hdr.Namelen])
	}
	_, errno = Recv(fd, got[:], 0)
	require.Equal(t, unix.EAGAIN, errno)
}

func TestSegment(t *testing.T) {
	b := make([]byte, SegmentBytes)
	n := PutSegment(b, 1200)
	require.LessOrEqual(t, n, len(b))
	ms, err := unix.ParseSocketControlMessage(b[:n])
	require.NoError(t, err)
	require.Len(t, ms, 1)
	require.EqualValues(t, unix.SOL_UDP, ms[0].Header.Level)
	require.EqualValues(t, unix.UDP_SEGMENT, ms[0].Header.Type)
	require.Equal(t, []byte{0xb0, 0x04}, ms[0].Data[:2])

	other := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: 1})
	gro := make([]byte, unix.CmsgSpace(4))
	putCmsgHeader(gro, unix.CmsgLen(4), unix.SOL_UDP, unix.UDP_GRO)
	gro[segmentData] = 200
	require.Equal(t, 200, Segment(gro))
	require.Equal(t, 200, Segment(append(append([]byte{}, other...), gro...)))
	require.Zero(t, Segment(other))
	require.Zero(t, Segment(nil))
	for i := range unix.CmsgLen(4) {
		require.Zero(t, Segment(gro[:i]), "cut to %d", i)
	}
	gro[0] = 3 // a length shorter than the header
	require.Zero(t, Segment(gro))
}
