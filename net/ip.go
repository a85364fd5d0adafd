//go:build linux

package net

import (
	stdnet "net"
	"os"
	"syscall"
	"time"
)

// IPConn is a raw IP socket. All methods are safe from any goroutine or coroutine. It is never on the engine: where a
// coroutine waits for a packet, it is suspended, and a goroutine of its own does the waiting.
type IPConn struct {
	std   *stdnet.IPConn
	stack *Stack
}

func (s *Stack) wrapIP(c *stdnet.IPConn) *IPConn { return &IPConn{std: c, stack: s} }

// noIPConn says what a zero IPConn is to say.
var noIPConn stdnet.IPConn

// own is the standard library's socket, whose methods want one that is not nil.
func (c *IPConn) own() *stdnet.IPConn {
	if c.std == nil {
		return &noIPConn
	}
	return c.std
}

// Read reads a packet of a connected socket; what does not fit into b is lost.
func (c *IPConn) Read(b []byte) (int, error) {
	if onCoroutine() {
		return awaited(func() (int, error) { return c.own().Read(b) })
	}
	return c.own().Read(b)
}

// Write sends a packet to the address that the socket is connected to.
func (c *IPConn) Write(b []byte) (int, error) {
	if onCoroutine() {
		return awaited(func() (int, error) { return c.own().Write(b) })
	}
	return c.own().Write(b)
}

// writeBuffers is Buffers.WriteTo to the address that the socket is connected to, as one packet.
func (c *IPConn) writeBuffers(v *Buffers) (n int64, err error) {
	await(func() { n, err = (*stdnet.Buffers)(v).WriteTo(c.own()) })
	return n, err
}

// Close closes the socket: whoever waits on it returns ErrClosed.
func (c *IPConn) Close() error { return c.own().Close() }

// LocalAddr is the socket's own address, which all calls share; do not modify it.
func (c *IPConn) LocalAddr() Addr { return c.own().LocalAddr() }

// RemoteAddr is the address that the socket is connected to, which all calls share; do not modify it.
func (c *IPConn) RemoteAddr() Addr { return c.own().RemoteAddr() }

// SetDeadline sets both deadlines; a zero time means none.
func (c *IPConn) SetDeadline(t time.Time) error { return c.own().SetDeadline(t) }

// SetReadDeadline sets the deadline of reads, also of those that wait already.
func (c *IPConn) SetReadDeadline(t time.Time) error { return c.own().SetReadDeadline(t) }

// SetWriteDeadline sets the deadline of writes, also of those that wait already.
func (c *IPConn) SetWriteDeadline(t time.Time) error { return c.own().SetWriteDeadline(t) }

// SetReadBuffer sets the size of the operating system's receive buffer in bytes.
func (c *IPConn) SetReadBuffer(bytes int) error { return c.own().SetReadBuffer(bytes) }

// SetWriteBuffer sets the size of the operating system's send buffer in bytes.
func (c *IPConn) SetWriteBuffer(bytes int) error { return c.own().SetWriteBuffer(bytes) }

// SyscallConn gives access to the descriptor.
func (c *IPConn) SyscallConn() (syscall.RawConn, error) { return c.own().SyscallConn() }

// File returns a copy of the descriptor, which the caller closes.
func (c *IPConn) File() (*os.File, error) { return c.own().File() }

// ReadFrom reads a packet and says who sent it; an IPv4 header is taken off.
func (c *IPConn) ReadFrom(b []byte) (n int, addr Addr, err error) {
	await(func() { n, addr, err = c.own().ReadFrom(b) })
	return n, addr, err
}

// ReadFromIP is ReadFrom with the address's own type.
func (c *IPConn) ReadFromIP(b []byte) (n int, addr *IPAddr, err error) {
	await(func() { n, addr, err = c.own().ReadFromIP(b) })
	return n, addr, err
}

// ReadMsgIP reads a packet with its control messages; see the standard library's.
func (c *IPConn) ReadMsgIP(b, oob []byte) (n, oobn, flags int, addr *IPAddr, err error) {
	await(func() { n, oobn, flags, addr, err = c.own().ReadMsgIP(b, oob) })
	return n, oobn, flags, addr, err
}

// WriteTo sends a packet to addr, an *IPAddr.
func (c *IPConn) WriteTo(b []byte, addr Addr) (n int, err error) {
	await(func() { n, err = c.own().WriteTo(b, addr) })
	return n, err
}

// WriteToIP is WriteTo with the address's own type.
func (c *IPConn) WriteToIP(b []byte, addr *IPAddr) (n int, err error) {
	await(func() { n, err = c.own().WriteToIP(b, addr) })
	return n, err
}

// WriteMsgIP sends a packet with control messages; see the standard library's.
func (c *IPConn) WriteMsgIP(b, oob []byte, addr *IPAddr) (n, oobn int, err error) {
	await(func() { n, oobn, err = c.own().WriteMsgIP(b, oob, addr) })
	return n, oobn, err
}

// DialIP connects to raddr from laddr, which may be nil, on ip, ip4 or ip6 with a protocol ("ip4:icmp").
func (s *Stack) DialIP(network string, laddr, raddr *IPAddr) (*IPConn, error) {
	return s.ownIP(stdnet.DialIP(network, laddr, raddr))
}

// ListenIP opens a socket on laddr, on ip, ip4 or ip6 with a protocol ("ip4:icmp").
func (s *Stack) ListenIP(network string, laddr *IPAddr) (*IPConn, error) {
	return s.ownIP(stdnet.ListenIP(network, laddr))
}

func (s *Stack) ownIP(c *stdnet.IPConn, err error) (*IPConn, error) {
	if err != nil {
		return nil, err
	}
	return s.wrapIP(c), nil
}

// DialIP connects to raddr from laddr, which may be nil, on ip, ip4 or ip6 with a protocol ("ip4:icmp").
func DialIP(network string, laddr, raddr *IPAddr) (*IPConn, error) {
	return defaultStack.DialIP(network, laddr, raddr)
}

// ListenIP opens a socket on laddr, on ip, ip4 or ip6 with a protocol ("ip4:icmp").
func ListenIP(network string, laddr *IPAddr) (*IPConn, error) {
	return defaultStack.ListenIP(network, laddr)
}

var (
	_ Conn       = (*IPConn)(nil)
	_ PacketConn = (*IPConn)(nil)
)
