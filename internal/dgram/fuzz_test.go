//go:build linux

package dgram

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// FuzzName gives the parser of socket addresses and the one of control messages anything: what the kernel or a truncated
// message could hand over. Neither reads beyond its input, and what is put comes back.
func FuzzName(f *testing.F) {
	f.Add([]byte{unix.AF_INET, 0, 0, 80, 127, 0, 0, 1}, uint32(0))
	f.Add([]byte{unix.AF_INET6, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0}, uint32(3))
	f.Add([]byte{unix.AF_UNIX, 0, 'x'}, uint32(0))
	f.Add([]byte{}, uint32(1))
	f.Fuzz(func(t *testing.T, b []byte, zone uint32) {
		exact := append(make([]byte, 0, len(b)), b...)[:len(b):len(b)] // so that reading on is noticed
		ap, z := ParseName(exact)
		if n := Segment(exact); n != 0 {
			require.Positive(t, n)
			require.GreaterOrEqual(t, len(b), unix.CmsgLen(2))
		}
		if !ap.IsValid() {
			return
		}
		out := make([]byte, NameBytes)
		n := PutName(out, ap, z, ap.Addr().Is6())
		again, zoneAgain := ParseName(out[:n])
		require.Equal(t, ap, again)
		require.Equal(t, z, zoneAgain)
		if ap.Addr().Is4() {
			// On a socket of IPv6 it is mapped.
			m, _ := ParseName(out[:PutName(out, ap, zone, true)])
			require.Equal(t, ap, netip.AddrPortFrom(m.Addr().Unmap(), m.Port()))
		}
	})
}
