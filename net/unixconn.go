//go:build linux

package net

import (
	"context"
	"errors"
	"io"
	stdnet "net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/proactor"
)

// UnixConn is a Unix socket: a stream (unix), a stream that keeps the bounds of messages (unixpacket), or datagrams
// (unixgram). All methods are safe from any goroutine or coroutine.
//
// On the engine nothing is received ahead of a Read (proactor.Conn.NoReadAhead): descriptors come beside certain bytes
// and are lost to whoever receives these bytes without asking for them, and a peer learns from a close whether its
// bytes were read.
type UnixConn struct{ stream }

// wrapUnix makes a UnixConn in runtime mode.
func (s *Stack) wrapUnix(uc *stdnet.UnixConn, network string) *UnixConn {
	c := new(struct {
		UnixConn
		rt runtimeConn
	})
	c.wrap(&c.rt, s, uc, network)
	return &c.UnixConn
}

// newEngineUnix makes a UnixConn of a connection that the engine has accepted at local.
func newEngineUnix(pc *proactor.Conn, network string, local Addr) *UnixConn {
	c := new(UnixConn)
	c.network = network
	pc.NoReadAhead()
	var remote Addr = (*UnixAddr)(nil)
	_ = pc.Control(func(fd int) error {
		if sa, err := unix.Getpeername(fd); err == nil {
			if peer, ok := sa.(*unix.SockaddrUnix); ok {
				remote = &UnixAddr{Name: peer.Name, Net: network}
			}
		}
		return nil
	})
	c.local.Store(&local)
	c.remote.Store(&remote)
	c.conn.Store(pc)
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
	if !c.messageOnEngine() {
		n, oobn, flags, addr, err = c.rt.stdUnix().ReadMsgUnix(b, oob)
		c.rt.bounds.took(n)
		if err == nil || n > 0 || !c.thrownOut(err) {
			return n, oobn, flags, addr, err
		}
	}
	var from unix.Sockaddr
	var failed error
	pc := c.conn.Load()
	err = pc.ReceiveWith(func(fd int) bool {
		n, oobn, flags, from, failed = unix.Recvmsg(fd, b, oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		pc.Took(max(n, 0))
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	switch {
	case err != nil:
		err = named("recvmsg", err)
	case failed != nil:
		err = os.NewSyscallError("recvmsg", failed)
		n, oobn = -1, 0 // as the standard library
	case n == 0 && c.network != "unixgram":
		err = io.EOF
	}
	return n, oobn, flags, c.sender(from), c.messageError("read", c.RemoteAddr(), err)
}

// WriteMsgUnix writes a message: the payload b with oob beside it (descriptors, credentials). addr is where an
// unconnected datagram socket sends it, nil otherwise. With an empty b and oob not, it writes one byte.
func (c *UnixConn) WriteMsgUnix(b, oob []byte, addr *UnixAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	if !c.messageOnEngine() {
		n, oobn, err = c.rt.stdUnix().WriteMsgUnix(b, oob, addr)
		if err == nil || n > 0 || !c.thrownOut(err) {
			return n, oobn, err
		}
	}
	if c.network == "unixgram" {
		if n, oobn, err := c.rt.stdUnix().WriteMsgUnix(b, oob, addr); !errors.Is(err, ErrClosed) {
			return n, oobn, err // wrong arguments, see unixgram.go
		}
	}
	var to unix.Sockaddr
	var peer Addr
	if addr != nil {
		peer = addr
		if addr.Net != c.network {
			return 0, 0, c.messageError("write", peer, syscall.EAFNOSUPPORT)
		}
		to = &unix.SockaddrUnix{Name: addr.Name}
	}
	send := func(fd int) (err error) {
		n, err = unix.SendmsgN(fd, b, oob, to, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		return err
	}
	if c.network == "unixgram" {
		err = c.sendGram(context.Background(), "sendmsg", send)
	} else {
		var failed error
		err = c.conn.Load().WriteWith(func(fd int) bool {
			failed = send(fd)
			return failed != unix.EAGAIN && failed != unix.EINTR
		})
		if err == nil {
			err = os.NewSyscallError("sendmsg", failed)
		}
		err = named("sendmsg", err)
	}
	if err != nil {
		return 0, 0, c.messageError("write", peer, err)
	}
	return n, len(oob), nil
}

// messageOnEngine reports whether a message goes through the engine: a coroutine takes the connection there.
func (c *UnixConn) messageOnEngine() bool {
	return c.conn.Load() != nil || c.onEngineNow() || c.engineConn() != nil
}

// sender is the address of who sent a message, nil when it is not known.
func (c *UnixConn) sender(sa unix.Sockaddr) *UnixAddr {
	if u, ok := sa.(*unix.SockaddrUnix); ok && u.Name != "" {
		return &UnixAddr{Name: u.Name, Net: c.network}
	}
	return nil
}

// messageError is the error of a message, as the standard library makes it: also io.EOF is inside.
func (c *UnixConn) messageError(op string, peer Addr, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: peer, Err: err}
}

var (
	_ Conn       = (*UnixConn)(nil)
	_ PacketConn = (*UnixConn)(nil)
)
