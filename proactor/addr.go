//go:build linux

package proactor

import (
	"net/netip"
	"strconv"

	"github.com/ouro-io/ouro/internal/op"
)

// Addr is an IP endpoint in the least room that a connection can keep it in. The zero Addr is no address.
type Addr struct {
	ip     [16]byte
	zone   uint32
	port   uint16
	family uint8 // 0 none, 4 or 6
}

// AddrPort returns a as package netip has it; invalid when a is no address. A zone is given by its number.
func (a Addr) AddrPort() netip.AddrPort {
	switch a.family {
	case 4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.ip[:4])), a.port)
	case 6:
		ip := netip.AddrFrom16(a.ip)
		if a.zone != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(a.zone), 10))
		}
		return netip.AddrPortFrom(ip, a.port)
	}
	return netip.AddrPort{}
}

// Zone is the IPv6 scope id, 0 for none.
func (a Addr) Zone() uint32 { return a.zone }

func addrOf(e op.Endpoint) Addr {
	return Addr{ip: e.IP, zone: e.Zone, port: e.Port, family: e.Family}
}
