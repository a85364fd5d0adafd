//go:build linux

package net

import (
	"io"
	stdnet "net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
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
func (c *UnixConn) ReadFromUnix(b []byte) (n int, addr *UnixAddr, err error) {
	if !c.ok() {
		return 0, nil, syscall.EINVAL
	}
	if !c.messageOnEngine() {
		n, addr, err = c.rt.stdUnix().ReadFromUnix(b)
		if err == nil || n > 0 || !c.thrownOut(err) {
			return n, addr, err
		}
	}
	var from unix.Sockaddr
	var failed error
	pc := c.conn.Load()
	err = pc.ReadWith(func(fd int) bool {
		n, from, failed = unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	switch {
	case err != nil:
	case failed != nil:
		n, err = 0, os.NewSyscallError("recvfrom", failed)
	case n == 0:
		err = io.EOF
	default:
		pc.Took(n)
	}
	return n, c.sender(from), c.messageError("read", c.RemoteAddr(), err)
}

// WriteTo sends a datagram to addr, a *UnixAddr. On a connected socket it fails.
func (c *UnixConn) WriteTo(b []byte, addr Addr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	a, ok := addr.(*UnixAddr)
	if !ok {
		return 0, c.messageError("write", addr, syscall.EINVAL)
	}
	return c.WriteToUnix(b, a)
}

// WriteToUnix is WriteTo with the address's own type.
func (c *UnixConn) WriteToUnix(b []byte, addr *UnixAddr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.engineConn() == nil {
		n, err := c.rt.stdUnix().WriteToUnix(b, addr)
		if err == nil || n > 0 || !c.thrownOut(err) {
			return n, err
		}
	}
	var peer Addr
	if addr != nil {
		peer = addr
	}
	return 0, c.messageError("write", peer, ErrWriteToConnected) // on the engine are streams only
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
