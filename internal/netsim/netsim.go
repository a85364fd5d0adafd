//go:build linux

package netsim

import (
	stdnet "net"

	"github.com/ouro-io/ouro/proactor"
)

// UDP makes a *UDPConn of package net, on e, of the descriptor fd of the kernel that e is simulated on (proactor.Simulate). std
// gives it its addresses as users see them, and whether it is connected; it is closed. With segments that kernel cuts sends
// apart (UDP_SEGMENT). Socket options are asked of the real kernel, which does not know fd.
var UDP func(e *proactor.Engine, std *stdnet.UDPConn, fd int, segments bool) (stdnet.Conn, error)
