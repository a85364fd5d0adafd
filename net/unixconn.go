//go:build linux

package net

import (
	stdnet "net"
	"syscall"
)

// UnixConn is a Unix socket: a stream (unix), a stream that keeps the bounds of messages (unixpacket), or datagrams
// (unixgram). All methods are safe from any goroutine or coroutine.
type UnixConn struct{ stream }

// wrapUnix makes a UnixConn in runtime mode.
func (s *Stack) wrapUnix(uc *stdnet.UnixConn, network string) *UnixConn {
	c := new(UnixConn)
	c.wrap(s, uc, network)
	c.rt.stays = true
	return c
}

// stdUnix is the standard library's connection of a UnixConn in runtime mode.
func (r *runtimeConn) stdUnix() *stdnet.UnixConn { return r.std.(*stdnet.UnixConn) }

// ReadMsgUnix reads a message: the payload into b, what came beside it (descriptors, credentials; see unix(7) and
// ParseUnixRights of package syscall) into oob. It returns the bytes in both, the flags of recvmsg(2), and who sent it,
// if that is known. Received descriptors are closed on exec. With an empty b and oob not, it reads and drops one byte.
func (c *UnixConn) ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *UnixAddr, err error) {
	if !c.ok() {
		return 0, 0, 0, nil, syscall.EINVAL
	}
	return c.rt.stdUnix().ReadMsgUnix(b, oob)
}

// WriteMsgUnix writes a message: the payload b with oob beside it (descriptors, credentials). addr is where an
// unconnected datagram socket sends it, nil otherwise. With an empty b and oob not, it writes one byte.
func (c *UnixConn) WriteMsgUnix(b, oob []byte, addr *UnixAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	return c.rt.stdUnix().WriteMsgUnix(b, oob, addr)
}

var (
	_ Conn       = (*UnixConn)(nil)
	_ PacketConn = (*UnixConn)(nil)
)
