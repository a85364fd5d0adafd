package net

import (
	"context"
	stdnet "net"
	"net/netip"
)

// Functions that do no socket I/O of their own are the standard library's.

// initialResolver is what DefaultResolver is until a program sets it.
var initialResolver = stdnet.DefaultResolver

// resolver is what the lookups use: DefaultResolver if the program has set ours, else the standard library's, which the
// program or a package that it uses may have set.
func resolver() *Resolver {
	if DefaultResolver != initialResolver {
		return DefaultResolver
	}
	return stdnet.DefaultResolver
}

// resolverOr returns r, or for nil what a dial is to use: nil leaves the choice to the standard library.
func resolverOr(r *Resolver) *Resolver {
	if r == nil && DefaultResolver != initialResolver {
		return DefaultResolver
	}
	return r
}

// Pipe makes a synchronous, in-memory, full-duplex connection; both ends are Conns. It has no descriptor and so nothing
// to do with the engine: on a coroutine its operations block the worker, which is handed over.
func Pipe() (Conn, Conn) { return stdnet.Pipe() }

// JoinHostPort combines host and port into "host:port", with brackets round an IPv6 address.
func JoinHostPort(host, port string) string { return stdnet.JoinHostPort(host, port) }

// SplitHostPort splits "host:port", "[host]:port" and the like; the error is an *AddrError.
func SplitHostPort(hostport string) (host, port string, err error) {
	return stdnet.SplitHostPort(hostport)
}

// ParseCIDR parses "192.0.2.0/24" into the address and the network.
func ParseCIDR(s string) (IP, *IPNet, error) { return stdnet.ParseCIDR(s) }

// ParseIP parses an IPv4 or IPv6 address without zone; nil when s is none.
func ParseIP(s string) IP { return stdnet.ParseIP(s) }

// ParseMAC parses a hardware address in one of the usual forms.
func ParseMAC(s string) (hw HardwareAddr, err error) { return stdnet.ParseMAC(s) }

// IPv4 makes an IPv4 address, 16 bytes long.
func IPv4(a, b, c, d byte) IP { return stdnet.IPv4(a, b, c, d) }

// IPv4Mask makes an IPv4 mask.
func IPv4Mask(a, b, c, d byte) IPMask { return stdnet.IPv4Mask(a, b, c, d) }

// CIDRMask makes a mask of ones bits of bits (32 or 128); nil when that is impossible.
func CIDRMask(ones, bits int) IPMask { return stdnet.CIDRMask(ones, bits) }

// Interfaces lists the system's network interfaces.
func Interfaces() ([]Interface, error) { return stdnet.Interfaces() }

// InterfaceAddrs lists the unicast addresses of the system's interfaces.
func InterfaceAddrs() ([]Addr, error) { return stdnet.InterfaceAddrs() }

// InterfaceByIndex finds an interface by its number.
func InterfaceByIndex(index int) (*Interface, error) { return stdnet.InterfaceByIndex(index) }

// InterfaceByName finds an interface by its name.
func InterfaceByName(name string) (*Interface, error) { return stdnet.InterfaceByName(name) }

// ResolveIPAddr resolves an address of network ip, ip4 or ip6, with the standard library's DefaultResolver.
func ResolveIPAddr(network, address string) (*IPAddr, error) {
	return stdnet.ResolveIPAddr(network, address)
}

// ResolveTCPAddr resolves an address of network tcp, tcp4 or tcp6, with the standard library's DefaultResolver.
func ResolveTCPAddr(network, address string) (*TCPAddr, error) {
	return stdnet.ResolveTCPAddr(network, address)
}

// ResolveUDPAddr resolves an address of network udp, udp4 or udp6, with the standard library's DefaultResolver.
func ResolveUDPAddr(network, address string) (*UDPAddr, error) {
	return stdnet.ResolveUDPAddr(network, address)
}

// ResolveUnixAddr makes the address of a Unix socket: network unix, unixgram or unixpacket.
func ResolveUnixAddr(network, address string) (*UnixAddr, error) {
	return stdnet.ResolveUnixAddr(network, address)
}

// TCPAddrFromAddrPort converts addr.
func TCPAddrFromAddrPort(addr netip.AddrPort) *TCPAddr { return stdnet.TCPAddrFromAddrPort(addr) }

// UDPAddrFromAddrPort converts addr.
func UDPAddrFromAddrPort(addr netip.AddrPort) *UDPAddr { return stdnet.UDPAddrFromAddrPort(addr) }

// LookupAddr finds the names of an address.
func LookupAddr(addr string) (names []string, err error) {
	return resolver().LookupAddr(context.Background(), addr)
}

// LookupCNAME finds the canonical name of host.
func LookupCNAME(host string) (cname string, err error) {
	return resolver().LookupCNAME(context.Background(), host)
}

// LookupHost finds the addresses of host.
func LookupHost(host string) (addrs []string, err error) {
	return resolver().LookupHost(context.Background(), host)
}

// LookupIP finds the IPv4 and IPv6 addresses of host.
func LookupIP(host string) ([]IP, error) {
	addrs, err := resolver().LookupIPAddr(context.Background(), host)
	if err != nil {
		return nil, err
	}
	ips := make([]IP, len(addrs))
	for i, a := range addrs {
		ips[i] = a.IP
	}
	return ips, nil
}

// LookupMX finds the mail exchangers of name, by preference.
func LookupMX(name string) ([]*MX, error) { return resolver().LookupMX(context.Background(), name) }

// LookupNS finds the name servers of name.
func LookupNS(name string) ([]*NS, error) { return resolver().LookupNS(context.Background(), name) }

// LookupPort finds the port of a service.
func LookupPort(network, service string) (port int, err error) {
	return resolver().LookupPort(context.Background(), network, service)
}

// LookupSRV finds the servers of a service; see RFC 2782.
func LookupSRV(service, proto, name string) (cname string, addrs []*SRV, err error) {
	return resolver().LookupSRV(context.Background(), service, proto, name)
}

// LookupTXT finds the text records of name.
func LookupTXT(name string) ([]string, error) {
	return resolver().LookupTXT(context.Background(), name)
}
