//go:build linux

package net

import (
	"context"
	stdnet "net"
)

// listenPacket has the standard library open a packet socket, and takes it over.
func (s *Stack) listenPacket(ctx context.Context, lc *ListenConfig, network, address string) (PacketConn, error) {
	var c PacketConn
	var err error
	await(func() { c, err = lc.std().ListenPacket(ctx, network, address) })
	if err != nil {
		return nil, err
	}
	return s.takePacket(c, network), nil
}

// takePacket makes a packet socket of the standard library one of ours.
func (s *Stack) takePacket(c PacketConn, network string) PacketConn {
	switch std := c.(type) {
	case *stdnet.UDPConn:
		return s.wrapUDP(std, network)
	case *stdnet.IPConn:
		return s.wrapIP(std)
	case *stdnet.UnixConn:
		return s.wrapUnix(std, network)
	}
	return c
}

// ListenPacket is ListenConfig.ListenPacket with a zero ListenConfig.
func (s *Stack) ListenPacket(network, address string) (PacketConn, error) {
	return s.listenPacket(context.Background(), &ListenConfig{}, network, address)
}

// ListenPacket opens a packet socket on the local address: udp, unixgram or ip in all their forms. Errors are *OpError.
func ListenPacket(network, address string) (PacketConn, error) {
	return defaultStack.ListenPacket(network, address)
}
