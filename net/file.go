//go:build linux

package net

import (
	stdnet "net"
	"os"
)

// FileConn makes a connection of a copy of f's socket. The caller still closes f.
func (s *Stack) FileConn(f *os.File) (Conn, error) {
	c, err := stdnet.FileConn(f)
	if err != nil {
		return nil, err
	}
	c, err = s.take(c, networkOf(c), onCoroutine(), "file")
	return fromFile(c), err
}

// FileListener makes a listener of a copy of f's socket. The caller still closes f.
func (s *Stack) FileListener(f *os.File) (Listener, error) {
	l, err := stdnet.FileListener(f)
	if err != nil {
		return nil, err
	}
	return s.takeListener(l, keptAliveByStd(), l.Addr().Network(), true), nil
}

// FilePacketConn makes a packet socket of a copy of f's socket. The caller still closes f.
func (s *Stack) FilePacketConn(f *os.File) (PacketConn, error) {
	c, err := stdnet.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	return fromFile(s.takePacket(c, c.LocalAddr().Network())), nil
}

// fromFile notes in a UDP socket where it comes from.
func fromFile[C any](c C) C {
	if u, ok := any(c).(*UDPConn); ok {
		u.fromFile = true
	}
	return c
}

// networkOf is the network that the standard library gives a connection from a file: that of its address.
func networkOf(c Conn) string {
	if a := c.LocalAddr(); a != nil {
		return a.Network()
	}
	return ""
}

// FileConn makes a connection of a copy of f's socket. The caller still closes f.
func FileConn(f *os.File) (c Conn, err error) { return defaultStack.FileConn(f) }

// FileListener makes a listener of a copy of f's socket. The caller still closes f.
func FileListener(f *os.File) (ln Listener, err error) { return defaultStack.FileListener(f) }

// FilePacketConn makes a packet socket of a copy of f's socket. The caller still closes f.
func FilePacketConn(f *os.File) (c PacketConn, err error) { return defaultStack.FilePacketConn(f) }
