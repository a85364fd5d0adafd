//go:build !linux

package net

import (
	"context"
	stdnet "net"
	"os"
	"time"
)

// On systems other than Linux there is no engine: everything is the standard library's, and Serve runs its handlers on
// goroutines.

type (
	// Buffers is the standard library's.
	Buffers = stdnet.Buffers
	// Dialer is the standard library's.
	Dialer = stdnet.Dialer
	// IPConn is the standard library's.
	IPConn = stdnet.IPConn
	// ListenConfig is the standard library's.
	ListenConfig = stdnet.ListenConfig
	// TCPConn is the standard library's.
	TCPConn = stdnet.TCPConn
	// TCPListener is the standard library's.
	TCPListener = stdnet.TCPListener
	// UDPConn is the standard library's.
	UDPConn = stdnet.UDPConn
	// UnixConn is the standard library's.
	UnixConn = stdnet.UnixConn
	// UnixListener is the standard library's.
	UnixListener = stdnet.UnixListener
)

// dialer is the zero Dialer with the program's resolver.
func dialer() *Dialer { return &Dialer{Resolver: resolverOr(nil)} }

// Dial connects to address on the network.
func Dial(network, address string) (Conn, error) { return dialer().Dial(network, address) }

// DialTimeout is Dial that gives up after timeout, name resolution included; then Timeout() of the error is true.
func DialTimeout(network, address string, timeout time.Duration) (Conn, error) {
	d := dialer()
	d.Timeout = timeout
	return d.Dial(network, address)
}

// DialTCP connects to raddr from laddr, which may be nil, on tcp, tcp4 or tcp6.
func DialTCP(network string, laddr, raddr *TCPAddr) (*TCPConn, error) {
	return stdnet.DialTCP(network, laddr, raddr)
}

// DialUDP connects to raddr from laddr, which may be nil, on udp, udp4 or udp6.
func DialUDP(network string, laddr, raddr *UDPAddr) (*UDPConn, error) {
	return stdnet.DialUDP(network, laddr, raddr)
}

// DialIP connects to raddr from laddr, which may be nil, on ip, ip4 or ip6 with a protocol ("ip4:icmp").
func DialIP(network string, laddr, raddr *IPAddr) (*IPConn, error) {
	return stdnet.DialIP(network, laddr, raddr)
}

// DialUnix connects to raddr from laddr, which may be nil, on unix, unixgram or unixpacket.
func DialUnix(network string, laddr, raddr *UnixAddr) (*UnixConn, error) {
	return stdnet.DialUnix(network, laddr, raddr)
}

// Listen listens on the local address.
func Listen(network, address string) (Listener, error) {
	return new(ListenConfig).Listen(context.Background(), network, address)
}

// ListenPacket opens a packet socket on the local address.
func ListenPacket(network, address string) (PacketConn, error) {
	return new(ListenConfig).ListenPacket(context.Background(), network, address)
}

// ListenTCP listens on laddr, where nil means any address and port, on tcp, tcp4 or tcp6.
func ListenTCP(network string, laddr *TCPAddr) (*TCPListener, error) {
	return stdnet.ListenTCP(network, laddr)
}

// ListenUnix listens on laddr, on unix or unixpacket.
func ListenUnix(network string, laddr *UnixAddr) (*UnixListener, error) {
	return stdnet.ListenUnix(network, laddr)
}

// ListenUnixgram opens a datagram socket on laddr; the network is unixgram.
func ListenUnixgram(network string, laddr *UnixAddr) (*UnixConn, error) {
	return stdnet.ListenUnixgram(network, laddr)
}

// ListenUDP opens a socket on laddr, where nil means any address and port, on udp, udp4 or udp6.
func ListenUDP(network string, laddr *UDPAddr) (*UDPConn, error) {
	return stdnet.ListenUDP(network, laddr)
}

// ListenMulticastUDP opens a socket for the group gaddr on the interface ifi; see the standard library's.
func ListenMulticastUDP(network string, ifi *Interface, gaddr *UDPAddr) (*UDPConn, error) {
	return stdnet.ListenMulticastUDP(network, ifi, gaddr)
}

// ListenIP opens a socket on laddr, on ip, ip4 or ip6 with a protocol ("ip4:icmp").
func ListenIP(network string, laddr *IPAddr) (*IPConn, error) {
	return stdnet.ListenIP(network, laddr)
}

// FileConn makes a connection of a copy of f's socket. The caller still closes f.
func FileConn(f *os.File) (c Conn, err error) { return stdnet.FileConn(f) }

// FileListener makes a listener of a copy of f's socket. The caller still closes f.
func FileListener(f *os.File) (ln Listener, err error) { return stdnet.FileListener(f) }

// FilePacketConn makes a packet socket of a copy of f's socket. The caller still closes f.
func FilePacketConn(f *os.File) (c PacketConn, err error) { return stdnet.FilePacketConn(f) }
