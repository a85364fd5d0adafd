//go:build linux

package net

import (
	"errors"
	stdnet "net"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/proactor"
)

// udpMode is where a UDPConn lives: in runtime mode std has the socket, on the engine pc has it. It moves as a stream
// does (see mover and runtimeConn): when a coroutine first uses it, once and for good, unless it is pinned.
//
// Pinned for good is a socket whose descriptor the program has asked for (SyscallConn, File): others may read from it by
// themselves, so it does not move.
//
// After the move std is closed but stays: it knows the addresses, and the standard library's errors for arguments that
// are wrong.
//
// The datagrams that were read ahead (udp_ahead.go) go before those that the engine receives.
type udpMode struct {
	std   *stdnet.UDPConn
	raw   syscall.RawConn
	stack *Stack
	pc    atomic.Pointer[proactor.PacketConn]

	exposed atomic.Bool // pinned for good
	inet6   atomic.Uint32

	mover
}

// settled waits while the socket moves, and returns its place on the engine, nil in runtime mode.
func (m *udpMode) settled() *proactor.PacketConn {
	if pc := m.pc.Load(); pc != nil {
		return pc
	}
	m.settle()
	return m.pc.Load()
}

// thrownOut reports whether err ended an operation because the socket moved to the engine meanwhile.
func (m *udpMode) thrownOut(err error) bool { return errors.Is(err, ErrClosed) && m.settled() != nil }

// onEngine returns the socket's place on the engine; a coroutine takes it there. nil means runtime mode.
func (c *UDPConn) onEngine() *proactor.PacketConn {
	if pc := c.pc.Load(); pc != nil {
		return pc
	}
	if onCoroutine() && c.toEngine() == nil {
		return c.pc.Load()
	}
	return nil
}

// toEngine moves the socket to the engine. nil means that it is there.
func (c *UDPConn) toEngine() error {
	m := &c.udpMode
	if m.pc.Load() != nil {
		return nil
	}
	if m.exposed.Load() {
		return errPinned // without starting an engine for nothing
	}
	e, err := m.stack.engine()
	if err != nil {
		return err
	}
	if began, err := m.depart(m.exposed.Load); !began {
		return err
	}
	pc, next, err := c.move(e)
	m.arrive(next, m.std, pc, func() { m.pc.Store(pc) })
	return err
}

// move takes the socket from std to e. It returns the state that follows.
func (c *UDPConn) move(e *proactor.Engine) (*proactor.PacketConn, runtimeState, error) {
	fd, err := duplicate(c.std)
	if err != nil {
		return nil, stateRuntime, err
	}
	_ = c.std.Close() // returns when the last reader has left
	pc, err := e.NewPacketConn(fd)
	if err != nil {
		unix.Close(fd)
		c.dropAhead()
		return nil, stateClosed, err
	}
	if a := c.ahead; a != nil {
		a.handOver(pc)
		c.dropAhead()
	}
	return pc, stateEngine, nil
}

// expose pins the socket to runtime mode for good. It reports false when it is on the engine already.
func (c *UDPConn) expose() bool {
	for {
		if c.settled() != nil {
			return false
		}
		c.mu.Lock()
		switch c.state {
		case stateMoving, stateEngine:
			c.mu.Unlock()
			continue
		}
		c.exposed.Store(true)
		c.mu.Unlock()
		return true
	}
}

// control calls f with the descriptor, in either mode.
func (c *UDPConn) control(f func(fd int) error) error {
	for {
		if pc := c.settled(); pc != nil {
			return pc.Control(f)
		}
		var failed error
		err := c.raw.Control(func(fd uintptr) { failed = f(int(fd)) })
		if err == nil {
			return failed
		}
		if !c.thrownOut(err) {
			return bare(err)
		}
	}
}

// bare takes the standard library's wrapping off an error of raw access.
func bare(err error) error {
	var oe *OpError
	if errors.As(err, &oe) {
		return oe.Err
	}
	return err
}

// isInet6 reports whether the socket is an IPv6 one, which wants IPv4 addresses mapped.
func (c *UDPConn) isInet6() bool {
	v := c.inet6.Load()
	if v == 0 {
		v = c.askFamily()
	}
	return v == 2
}

// askFamily is apart since its closure takes memory.
func (c *UDPConn) askFamily() uint32 {
	v := uint32(1)
	err := c.control(func(fd int) error {
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err == nil && domain == unix.AF_INET6 {
			v = 2
		}
		return err
	})
	switch a, _ := c.std.LocalAddr().(*UDPAddr); {
	case err == nil:
		c.inet6.Store(v)
	case a != nil && len(a.IP) == IPv6len: // closed: its address is of its family
		v = 2
	}
	return v
}

// opError is the error of an operation on the socket, as the standard library makes it; to is nil for the address that
// the socket is connected to.
//
//go:noinline
func (c *UDPConn) opError(op string, to Addr, err error) error {
	if to == nil {
		to = c.std.RemoteAddr()
	}
	return &OpError{Op: op, Net: c.network, Source: c.std.LocalAddr(), Addr: to, Err: err}
}

// writeError is the error of a write that was given the address to, which the standard library names and no other.
func (c *UDPConn) writeError(to Addr, err error) error {
	return &OpError{Op: "write", Net: c.network, Source: c.std.LocalAddr(), Addr: to, Err: err}
}

// ownError is the error of an operation that concerns the socket alone.
//
//go:noinline
func (c *UDPConn) ownError(op string, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{Op: op, Net: c.network, Addr: c.std.LocalAddr(), Err: err}
}
