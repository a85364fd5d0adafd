//go:build linux

package net

import (
	stdnet "net"
	"syscall"
)

// What UnixConn does as a datagram socket.

// ReadFrom reads a datagram, or what a stream has, and returns who sent it if that is known.
func (c *UnixConn) ReadFrom(b []byte) (int, Addr, error) {
	n, addr, err := c.ReadFromUnix(b)
	if addr == nil {
		return n, nil, err
	}
	return n, addr, err
}

// ReadFromUnix is ReadFrom with the address's own type.
func (c *UnixConn) ReadFromUnix(b []byte) (int, *UnixAddr, error) {
	if !c.ok() {
		return 0, nil, syscall.EINVAL
	}
	return c.rt.stdUnix().ReadFromUnix(b)
}

// WriteTo sends a datagram to addr, a *UnixAddr.
func (c *UnixConn) WriteTo(b []byte, addr Addr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	return c.rt.stdUnix().WriteTo(b, addr)
}

// WriteToUnix is WriteTo with the address's own type.
func (c *UnixConn) WriteToUnix(b []byte, addr *UnixAddr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	return c.rt.stdUnix().WriteToUnix(b, addr)
}

// ListenUnixgram opens a datagram socket on laddr; the network is unixgram.
func (s *Stack) ListenUnixgram(network string, laddr *UnixAddr) (*UnixConn, error) {
	uc, err := stdnet.ListenUnixgram(network, laddr)
	if err != nil {
		return nil, err
	}
	return s.wrapUnix(uc, network), nil
}

// ListenUnixgram opens a datagram socket on laddr; the network is unixgram.
func ListenUnixgram(network string, laddr *UnixAddr) (*UnixConn, error) {
	return defaultStack.ListenUnixgram(network, laddr)
}
