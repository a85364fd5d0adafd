//go:build linux

package net

import (
	stdnet "net"
)

// SimulatedUDP makes a UDPConn of the descriptor fd of a kernel that the engine of s is simulated on (proactor.Simulate). std
// gives it its addresses as users see them, and whether it is connected; it is closed. With segments that kernel cuts sends apart
// (UDP_SEGMENT). It is for this module's own tests. Socket options are asked of the real kernel, which does not know fd.
func (s *Stack) SimulatedUDP(std *stdnet.UDPConn, fd int, segments bool) (*UDPConn, error) {
	c := &UDPConn{network: "udp4"}
	c.std, c.stack, c.state = std, s, stateEngine
	c.raw, _ = std.SyscallConn() // fails for a nil conn only
	_ = std.Close()
	c.inet6.Store(1)
	c.gso.ready.Store(2)
	if segments {
		c.gso.ready.Store(1)
	}
	e, err := s.engine()
	if err != nil {
		return nil, err
	}
	pc, err := e.NewPacketConn(fd)
	if err != nil {
		return nil, err
	}
	c.pc.Store(pc)
	return c, nil
}
