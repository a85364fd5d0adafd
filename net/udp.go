//go:build linux

package net

import (
	stdnet "net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// UDPConn is a UDP socket. All methods are safe from any goroutine.
type UDPConn struct {
	std   *stdnet.UDPConn
	stack *Stack
}

func (s *Stack) wrapUDP(c *stdnet.UDPConn) *UDPConn { return &UDPConn{std: c, stack: s} }

// Read reads a datagram of a connected socket; what does not fit into b is lost.
func (c *UDPConn) Read(b []byte) (int, error) { return c.std.Read(b) }

// Write sends a datagram to the address that the socket is connected to.
func (c *UDPConn) Write(b []byte) (int, error) { return c.std.Write(b) }

// Close closes the socket: whoever waits on it returns ErrClosed.
func (c *UDPConn) Close() error { return c.std.Close() }

// LocalAddr is the socket's own address, which all calls share; do not modify it.
func (c *UDPConn) LocalAddr() Addr { return c.std.LocalAddr() }

// RemoteAddr is the address that the socket is connected to, which all calls share; do not modify it.
func (c *UDPConn) RemoteAddr() Addr { return c.std.RemoteAddr() }

// SetDeadline sets both deadlines; a zero time means none.
func (c *UDPConn) SetDeadline(t time.Time) error { return c.std.SetDeadline(t) }

// SetReadDeadline sets the deadline of reads, also of those that wait already.
func (c *UDPConn) SetReadDeadline(t time.Time) error { return c.std.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline of writes, also of those that wait already.
func (c *UDPConn) SetWriteDeadline(t time.Time) error { return c.std.SetWriteDeadline(t) }

// SetReadBuffer sets the size of the operating system's receive buffer in bytes.
func (c *UDPConn) SetReadBuffer(bytes int) error { return c.std.SetReadBuffer(bytes) }

// SetWriteBuffer sets the size of the operating system's send buffer in bytes.
func (c *UDPConn) SetWriteBuffer(bytes int) error { return c.std.SetWriteBuffer(bytes) }

// SyscallConn gives access to the descriptor.
func (c *UDPConn) SyscallConn() (syscall.RawConn, error) { return c.std.SyscallConn() }

// File returns a copy of the descriptor, which the caller closes.
func (c *UDPConn) File() (*os.File, error) { return c.std.File() }

// ReadFrom reads a datagram and says who sent it.
func (c *UDPConn) ReadFrom(b []byte) (int, Addr, error) { return c.std.ReadFrom(b) }

// ReadFromUDP is ReadFrom with the address's own type.
func (c *UDPConn) ReadFromUDP(b []byte) (n int, addr *UDPAddr, err error) {
	return c.std.ReadFromUDP(b)
}

// ReadFromUDPAddrPort is ReadFrom without an allocation for the address.
func (c *UDPConn) ReadFromUDPAddrPort(b []byte) (n int, addr netip.AddrPort, err error) {
	return c.std.ReadFromUDPAddrPort(b)
}

// ReadMsgUDP reads a datagram with its control messages; see the standard library's.
func (c *UDPConn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *UDPAddr, err error) {
	return c.std.ReadMsgUDP(b, oob)
}

// ReadMsgUDPAddrPort is ReadMsgUDP without an allocation for the address.
func (c *UDPConn) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	return c.std.ReadMsgUDPAddrPort(b, oob)
}

// WriteTo sends a datagram to addr, a *UDPAddr.
func (c *UDPConn) WriteTo(b []byte, addr Addr) (int, error) { return c.std.WriteTo(b, addr) }

// WriteToUDP is WriteTo with the address's own type.
func (c *UDPConn) WriteToUDP(b []byte, addr *UDPAddr) (int, error) { return c.std.WriteToUDP(b, addr) }

// WriteToUDPAddrPort is WriteToUDP without an allocation for the address.
func (c *UDPConn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	return c.std.WriteToUDPAddrPort(b, addr)
}

// WriteMsgUDP sends a datagram with control messages; see the standard library's.
func (c *UDPConn) WriteMsgUDP(b, oob []byte, addr *UDPAddr) (n, oobn int, err error) {
	return c.std.WriteMsgUDP(b, oob, addr)
}

// WriteMsgUDPAddrPort is WriteMsgUDP without an allocation for the address.
func (c *UDPConn) WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	return c.std.WriteMsgUDPAddrPort(b, oob, addr)
}

// DialUDP connects to raddr from laddr, which may be nil, on udp, udp4 or udp6.
func (s *Stack) DialUDP(network string, laddr, raddr *UDPAddr) (*UDPConn, error) {
	return s.ownUDP(stdnet.DialUDP(network, laddr, raddr))
}

// ListenUDP opens a socket on laddr, where nil means any address and port, on udp, udp4 or udp6.
func (s *Stack) ListenUDP(network string, laddr *UDPAddr) (*UDPConn, error) {
	return s.ownUDP(stdnet.ListenUDP(network, laddr))
}

// ListenMulticastUDP opens a socket for the group gaddr on the interface ifi; see the standard library's.
func (s *Stack) ListenMulticastUDP(network string, ifi *Interface, gaddr *UDPAddr) (*UDPConn, error) {
	return s.ownUDP(stdnet.ListenMulticastUDP(network, ifi, gaddr))
}

func (s *Stack) ownUDP(c *stdnet.UDPConn, err error) (*UDPConn, error) {
	if err != nil {
		return nil, err
	}
	return s.wrapUDP(c), nil
}

// DialUDP connects to raddr from laddr, which may be nil, on udp, udp4 or udp6.
func DialUDP(network string, laddr, raddr *UDPAddr) (*UDPConn, error) {
	return defaultStack.DialUDP(network, laddr, raddr)
}

// ListenUDP opens a socket on laddr, where nil means any address and port, on udp, udp4 or udp6.
func ListenUDP(network string, laddr *UDPAddr) (*UDPConn, error) {
	return defaultStack.ListenUDP(network, laddr)
}

// ListenMulticastUDP opens a socket for the group gaddr on the interface ifi; see the standard library's.
func ListenMulticastUDP(network string, ifi *Interface, gaddr *UDPAddr) (*UDPConn, error) {
	return defaultStack.ListenMulticastUDP(network, ifi, gaddr)
}

var (
	_ Conn       = (*UDPConn)(nil)
	_ PacketConn = (*UDPConn)(nil)
)
