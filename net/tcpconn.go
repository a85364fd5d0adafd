//go:build linux

package net

import (
	stdnet "net"

	"github.com/ouro-io/ouro/proactor"
)

// TCPConn is a TCP connection. All methods are safe from any goroutine or coroutine.
type TCPConn struct{ stream }

// wrapTCP makes a TCPConn in runtime mode, with one allocation.
func (s *Stack) wrapTCP(tc *stdnet.TCPConn, network string) *TCPConn {
	c := new(struct {
		TCPConn
		rt runtimeConn
	})
	c.wrap(&c.rt, s, tc, network)
	if !s.severalPs() {
		c.rt.trial.Store(trialReads)
	}
	return &c.TCPConn
}

// newEngineConn makes a TCPConn in engine mode.
func newEngineConn(pc *proactor.Conn, network string) *TCPConn {
	c := new(TCPConn)
	c.network = network
	c.conn.Store(pc)
	return c
}

// stdTCP is the standard library's connection of a TCPConn in runtime mode.
func (r *runtimeConn) stdTCP() *stdnet.TCPConn { return r.std.(*stdnet.TCPConn) }

var _ Conn = (*TCPConn)(nil)
