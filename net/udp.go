//go:build linux

package net

import (
	stdnet "net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// UDPConn is a UDP socket. All methods are safe from any goroutine or coroutine.
//
// In the hands of ordinary goroutines it stays in the runtime's poller; when a coroutine first uses it, it moves to the
// engine: one multishot receive fills the worker's buffers, and what the coroutines send goes out with the turn's other
// submissions. ReadBatch and WriteBatch move many datagrams at once in either mode, with UDP segmentation offload where
// the kernel has it.
type UDPConn struct {
	udpMode
	network  string // as it was dialled or listened to: udp, udp4 or udp6
	fromFile bool   // then the standard library takes it for one that is not connected, whatever its socket is
	gro      atomic.Bool
	plain    plainReads
	gso      gsoState
	// lastFrom is the sender of the last datagram of a ReadBatch, as the next usually is the same.
	lastFrom atomic.Pointer[sender]

	// Of who holds the descriptor's read lock in runtime mode, see readCall.
	ahead *udpAhead
}

func (s *Stack) wrapUDP(std *stdnet.UDPConn, network string) *UDPConn {
	c := &UDPConn{network: network}
	c.std, c.stack = std, s
	c.raw, _ = std.SyscallConn() // fails for a nil conn only
	if s.policy == modeEngine {
		_ = c.toEngine() // where it cannot, it stays
	}
	return c
}

// connected reports whether a write is given no address. The errors of one that has the wrong are the standard library's.
func (c *UDPConn) connected() bool { return c.std.RemoteAddr() != nil && !c.fromFile }

func (c *UDPConn) ok() bool { return c != nil && c.std != nil }

// Close closes the socket: whoever waits on it returns ErrClosed. A second Close returns ErrClosed as well.
func (c *UDPConn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	for {
		if pc := c.settled(); pc != nil {
			if err := pc.Close(); err != nil {
				return c.opError("close", nil, err)
			}
			return nil
		}
		c.mu.Lock()
		switch c.state {
		case stateMoving, stateEngine:
			c.mu.Unlock()
			continue
		}
		first := c.state == stateRuntime
		c.state = stateClosed
		c.mu.Unlock()
		err := c.std.Close() // returns when the last reader has left
		if first {
			c.dropAhead()
		}
		return err
	}
}

// LocalAddr is the socket's own address, which all calls share; do not modify it.
func (c *UDPConn) LocalAddr() Addr {
	if !c.ok() {
		return nil
	}
	return c.std.LocalAddr()
}

// RemoteAddr is the address that the socket is connected to, which all calls share; do not modify it.
func (c *UDPConn) RemoteAddr() Addr {
	if !c.ok() {
		return nil
	}
	return c.std.RemoteAddr()
}

// SetDeadline sets both deadlines; a zero time means none, a past one ends at once whatever waits.
func (c *UDPConn) SetDeadline(t time.Time) error { return c.setDeadline(t, readSide|writeSide) }

// SetReadDeadline sets the deadline of reads, also of those that wait already.
func (c *UDPConn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, readSide) }

// SetWriteDeadline sets the deadline of writes, also of those that wait already.
func (c *UDPConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, writeSide) }

func (c *UDPConn) setDeadline(t time.Time, s side) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(t, s)
	switch c.state {
	case stateMoving:
		return nil // arrive sets them
	case stateEngine:
		return c.ownError("set", setDeadline(c.pc.Load(), t, s))
	}
	if c.plain.evicting != nil {
		s &^= readSide // evictPlain sets it
	}
	if s == 0 {
		return nil
	}
	return setDeadline(c.std, t, s)
}

// SetReadBuffer sets the size of the operating system's receive buffer in bytes.
func (c *UDPConn) SetReadBuffer(bytes int) error { return c.setBuffer(syscall.SO_RCVBUF, bytes) }

// SetWriteBuffer sets the size of the operating system's send buffer in bytes.
func (c *UDPConn) SetWriteBuffer(bytes int) error { return c.setBuffer(syscall.SO_SNDBUF, bytes) }

func (c *UDPConn) setBuffer(option, bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.ownError("set", c.control(func(fd int) error {
		return os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, option, bytes))
	}))
}

// SyscallConn gives access to the descriptor. Whoever asks for it may read by himself, so from then on a socket in runtime
// mode stays there. On a socket that is on the engine already, datagrams may have been received before anybody asked for
// them: RawConn.Read fails with proactor.ErrReadAhead while such are left (read them first), and from the first RawConn.Read
// on the engine receives nothing ahead any more.
func (c *UDPConn) SyscallConn() (syscall.RawConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	if c.expose() {
		return c.raw, nil
	}
	return (*rawUDP)(c), nil
}

// rawUDP is the raw access to a socket on the engine.
type rawUDP UDPConn

// Control calls f with the descriptor, which stays valid until f returns.
func (r *rawUDP) Control(f func(fd uintptr)) error {
	c := (*UDPConn)(r)
	return c.ownError("raw-control", c.control(func(fd int) error { f(uintptr(fd)); return nil }))
}

// Read calls f whenever the socket may be readable, until f reports true.
func (r *rawUDP) Read(f func(fd uintptr) bool) error {
	return r.result("raw-read", r.pc.Load().ReadWith(func(fd int) bool { return f(uintptr(fd)) }))
}

// Write calls f whenever the socket may be writable, until f reports true.
func (r *rawUDP) Write(f func(fd uintptr) bool) error {
	return r.result("raw-write", r.pc.Load().WriteWith(func(fd int) bool { return f(uintptr(fd)) }))
}

func (r *rawUDP) result(op string, err error) error {
	if err == nil {
		return nil
	}
	return (*UDPConn)(r).opError(op, nil, err)
}

// File returns a copy of the descriptor, which the caller closes. As with SyscallConn, the socket stays in runtime mode
// from then on.
func (c *UDPConn) File() (*os.File, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	if c.expose() {
		return c.std.File()
	}
	fd := -1
	err := c.control(func(s int) (err error) {
		fd, err = unix.FcntlInt(uintptr(s), unix.F_DUPFD_CLOEXEC, 0)
		return os.NewSyscallError("fcntl", err)
	})
	if err != nil {
		return nil, c.opError("file", nil, err)
	}
	name := c.network + ":" + c.LocalAddr().String() + "->"
	if a := c.RemoteAddr(); a != nil {
		name += a.String()
	}
	return os.NewFile(uintptr(fd), name), nil
}

// DialUDP connects to raddr from laddr, which may be nil, on udp, udp4 or udp6.
func (s *Stack) DialUDP(network string, laddr, raddr *UDPAddr) (*UDPConn, error) {
	c, err := stdnet.DialUDP(network, laddr, raddr)
	return s.ownUDP(network, c, err)
}

// ListenUDP opens a socket on laddr, where nil means any address and port, on udp, udp4 or udp6.
func (s *Stack) ListenUDP(network string, laddr *UDPAddr) (*UDPConn, error) {
	c, err := stdnet.ListenUDP(network, laddr)
	return s.ownUDP(network, c, err)
}

// ListenMulticastUDP opens a socket for the group gaddr on the interface ifi; see the standard library's.
func (s *Stack) ListenMulticastUDP(network string, ifi *Interface, gaddr *UDPAddr) (*UDPConn, error) {
	c, err := stdnet.ListenMulticastUDP(network, ifi, gaddr)
	return s.ownUDP(network, c, err)
}

func (s *Stack) ownUDP(network string, c *stdnet.UDPConn, err error) (*UDPConn, error) {
	if err != nil {
		return nil, err
	}
	return s.wrapUDP(c, network), nil
}

// DialUDP connects to raddr from laddr, which may be nil, on udp, udp4 or udp6.
func DialUDP(network string, laddr, raddr *UDPAddr) (*UDPConn, error) {
	return defaultStack.DialUDP(network, laddr, raddr)
}

// ListenUDP opens a socket on laddr, where nil means any address and port, on udp, udp4 or udp6.
func ListenUDP(network string, laddr *UDPAddr) (*UDPConn, error) {
	return defaultStack.ListenUDP(network, laddr)
}

// ListenMulticastUDP opens a socket for the group gaddr on the interface ifi; see the standard library's.
func ListenMulticastUDP(network string, ifi *Interface, gaddr *UDPAddr) (*UDPConn, error) {
	return defaultStack.ListenMulticastUDP(network, ifi, gaddr)
}

var (
	_ Conn       = (*UDPConn)(nil)
	_ PacketConn = (*UDPConn)(nil)
)
