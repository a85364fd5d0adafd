//go:build linux

package dgram

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// NameBytes is the room for the address of any IP socket: struct sockaddr_in6.
const NameBytes = unix.SizeofSockaddrInet6

// PutName writes ap to b, which has NameBytes, as the kernel takes it: for an IPv6 socket as a sockaddr_in6, with IPv4
// addresses mapped and zone as the scope, else as a sockaddr_in. It returns the length, 0 when ap cannot be had in the
// family.
func PutName(b []byte, ap netip.AddrPort, zone uint32, inet6 bool) int {
	ip := ap.Addr()
	if !inet6 {
		if !ip.Is4() && !ip.Is4In6() {
			return 0
		}
		four := ip.As4()
		clear(b[:unix.SizeofSockaddrInet4])
		binary.NativeEndian.PutUint16(b, unix.AF_INET)
		binary.BigEndian.PutUint16(b[2:], ap.Port())
		copy(b[4:], four[:])
		return unix.SizeofSockaddrInet4
	}
	if !ip.IsValid() {
		return 0
	}
	sixteen := ip.As16()
	binary.NativeEndian.PutUint16(b, unix.AF_INET6)
	binary.BigEndian.PutUint16(b[2:], ap.Port())
	binary.NativeEndian.PutUint32(b[4:], 0)
	copy(b[8:], sixteen[:])
	binary.NativeEndian.PutUint32(b[24:], zone)
	return unix.SizeofSockaddrInet6
}

// ParseName reads what the kernel has written. An IPv4 address that an IPv6 socket has received from stays mapped, and
// the zone is left to the caller, who knows its name. The AddrPort is invalid when b is not an IP address.
func ParseName(b []byte) (ap netip.AddrPort, zone uint32) {
	if len(b) < 2 {
		return
	}
	switch family := binary.NativeEndian.Uint16(b); {
	case family == unix.AF_INET && len(b) >= unix.SizeofSockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:])), 0
	case family == unix.AF_INET6 && len(b) >= unix.SizeofSockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])), binary.BigEndian.Uint16(b[2:])),
			binary.NativeEndian.Uint32(b[24:])
	}
	return
}
