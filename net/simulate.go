//go:build linux

package net

import (
	stdnet "net"

	"github.com/ouro-io/ouro/internal/netsim"
	"github.com/ouro-io/ouro/proactor"
)

func init() { netsim.UDP = simulatedUDP }

// simulatedUDP is netsim.UDP.
func simulatedUDP(e *proactor.Engine, std *stdnet.UDPConn, fd int, segments bool) (Conn, error) {
	c := &UDPConn{network: "udp4"}
	c.std, c.stack, c.state = std, On(e), stateEngine
	c.raw, _ = std.SyscallConn() // fails for a nil conn only
	_ = std.Close()
	c.inet6.Store(1)
	c.gso.ready.Store(2)
	if segments {
		c.gso.ready.Store(1)
	}
	pc, err := e.NewPacketConn(fd)
	if err != nil {
		return nil, err
	}
	c.pc.Store(pc)
	return c, nil
}
