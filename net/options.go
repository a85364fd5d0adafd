//go:build linux

package net

import (
	stdnet "net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/proactor"
)

// Socket options. In runtime mode they are the standard library's; on the engine they are set directly, with the same
// errors.

// either does what is rare in the mode that the connection is in: std in runtime mode, engine on the engine. Errors of
// engine are bare; wrap makes the standard library's of them.
func (c *stream) either(std func(stdStream) error, engine func(*proactor.Conn) error, wrap func(error) error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.engineConn() == nil {
		if err := std(c.rt.std); err == nil || !c.thrownOut(err) {
			return err
		}
	}
	return wrap(engine(c.conn.Load()))
}

// withFD makes an operation of the engine's connection of one of its descriptor.
func withFD(f func(fd int) error) func(*proactor.Conn) error {
	return func(pc *proactor.Conn) error { return pc.Control(f) }
}

func (c *stream) closeError(err error) error { return c.opError("close", err) }

// setOwn sets an option whose errors name this end only.
func (c *stream) setOwn(std func(stdStream) error, level, name, value int) error {
	return c.either(std, withFD(func(fd int) error { return setOption(fd, level, name, value) }),
		func(err error) error { return c.ownError("set", err) })
}

// setBoth sets an option of TCP, whose errors name both ends.
func (c *TCPConn) setBoth(std func(*stdnet.TCPConn) error, engine func(fd int) error) error {
	return c.either(func(s stdStream) error { return std(s.(*stdnet.TCPConn)) }, withFD(engine),
		func(err error) error { return c.opError("set", err) })
}

// SetReadBuffer sets the size of the operating system's receive buffer, in bytes (SO_RCVBUF, socket(7): doubled).
func (c *stream) SetReadBuffer(bytes int) error {
	return c.setOwn(func(s stdStream) error { return s.SetReadBuffer(bytes) }, unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
}

// SetWriteBuffer sets the size of the operating system's send buffer, in bytes (SO_SNDBUF, socket(7): doubled).
func (c *stream) SetWriteBuffer(bytes int) error {
	return c.setOwn(func(s stdStream) error { return s.SetWriteBuffer(bytes) }, unix.SOL_SOCKET, unix.SO_SNDBUF, bytes)
}

// SetNoDelay switches Nagle's algorithm off, or on. It is off from the beginning.
func (c *TCPConn) SetNoDelay(noDelay bool) error {
	return c.setBoth(func(s *stdnet.TCPConn) error { return s.SetNoDelay(noDelay) },
		func(fd int) error { return setOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, boolOption(noDelay)) })
}

// SetKeepAlive switches keep-alive probes on or off.
func (c *TCPConn) SetKeepAlive(keepalive bool) error {
	return c.setBoth(func(s *stdnet.TCPConn) error { return s.SetKeepAlive(keepalive) },
		func(fd int) error { return setOption(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, boolOption(keepalive)) })
}

// SetKeepAlivePeriod sets how long the connection is idle before the first probe: rounded up to seconds, 0 for 15 s, left
// alone when negative.
func (c *TCPConn) SetKeepAlivePeriod(d time.Duration) error {
	return c.setBoth(func(s *stdnet.TCPConn) error { return s.SetKeepAlivePeriod(d) },
		func(fd int) error { return setSeconds(fd, unix.TCP_KEEPIDLE, d, defaultKeepAliveIdle) })
}

// SetKeepAliveConfig sets all of the keep-alive configuration.
func (c *TCPConn) SetKeepAliveConfig(config KeepAliveConfig) error {
	return c.setBoth(func(s *stdnet.TCPConn) error { return s.SetKeepAliveConfig(config) },
		func(fd int) error { return setKeepAliveConfig(fd, config) })
}

// SetLinger sets what becomes of unsent bytes at Close: sec < 0 (the default) sends them in the background, 0 drops them
// and resets the peer, > 0 bounds the sending in seconds.
func (c *TCPConn) SetLinger(sec int) error {
	l := unix.Linger{}
	if sec >= 0 {
		l = unix.Linger{Onoff: 1, Linger: int32(sec)}
	}
	return c.setBoth(func(s *stdnet.TCPConn) error { return s.SetLinger(sec) }, func(fd int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l))
	})
}

// MultipathTCP reports whether the connection uses Multipath TCP (RFC 8684); it is false after a fallback to TCP.
func (c *TCPConn) MultipathTCP() (bool, error) {
	if !c.ok() {
		return false, syscall.EINVAL
	}
	uses := false
	// Any error means no, as in the standard library.
	_ = c.either(func(s stdStream) (err error) { uses, err = s.(*stdnet.TCPConn).MultipathTCP(); return err },
		withFD(func(fd int) error { uses = usesMultipath(fd); return nil }),
		func(err error) error { return err })
	return uses, nil
}

// From linux/mptcp.h and linux/socket.h; package unix does not have them.
const (
	solMPTCP  = 284
	mptcpInfo = 1
)

// usesMultipath asks for MPTCP_INFO, which only a Multipath TCP socket that has not fallen back answers (kernel 5.16);
// plain TCP answers EOPNOTSUPP, and otherwise the protocol decides.
func usesMultipath(fd int) bool {
	_, err := unix.GetsockoptInt(fd, solMPTCP, mptcpInfo)
	switch err {
	case nil:
		return true
	case unix.EOPNOTSUPP:
		return false
	}
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == unix.IPPROTO_MPTCP
}
