//go:build linux && go1.26

package net

import (
	"context"
	stdnet "net"
	"net/netip"
)

// DialTCP connects to raddr from laddr, where the zero AddrPort means any, on tcp, tcp4 or tcp6. It gives up when ctx
// ends.
func (d *Dialer) DialTCP(ctx context.Context, network string, laddr netip.AddrPort, raddr netip.AddrPort) (*TCPConn, error) {
	return connect(func() (*stdnet.TCPConn, error) { return d.std().DialTCP(ctx, network, laddr, raddr) }, d.on().ownTCP(network))
}

// DialUDP connects to raddr from laddr, where the zero AddrPort means any, on udp, udp4 or udp6. It gives up when ctx
// ends.
func (d *Dialer) DialUDP(ctx context.Context, network string, laddr netip.AddrPort, raddr netip.AddrPort) (*UDPConn, error) {
	c, err := d.std().DialUDP(ctx, network, laddr, raddr)
	return d.on().ownUDP(network, c, err)
}

// DialIP connects to raddr from laddr, where the zero Addr means any, on ip, ip4 or ip6 with a protocol. It gives up when
// ctx ends.
func (d *Dialer) DialIP(ctx context.Context, network string, laddr netip.Addr, raddr netip.Addr) (*IPConn, error) {
	return d.on().ownIP(d.std().DialIP(ctx, network, laddr, raddr))
}

// DialUnix connects to raddr from laddr, which may be nil, on unix, unixgram or unixpacket. It gives up when ctx ends.
func (d *Dialer) DialUnix(ctx context.Context, network string, laddr *UnixAddr, raddr *UnixAddr) (*UnixConn, error) {
	return connect(func() (*stdnet.UnixConn, error) { return d.std().DialUnix(ctx, network, laddr, raddr) }, d.on().ownUnix(network))
}
