//go:build linux

package net

import (
	stdnet "net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

// stream is what TCPConn and UnixConn have in common. Its exported methods are theirs. All are safe from any goroutine or
// coroutine.
//
// Modes. conn is nil in runtime mode and set, once and for good, when the connection is on the engine; rt is what
// runtime mode needs, and nil when the connection began on the engine. adopt.go tells how a connection moves. A zero
// stream has neither: its methods return EINVAL, like the standard library's.
//
// Read and Write are on every idle handler's stack (2 KiB in all): small frames, errors made elsewhere.
type stream struct {
	conn    atomic.Pointer[proactor.Conn]
	rt      *runtimeConn
	network string // as it was dialled or listened to: tcp, tcp4, tcp6, unix, unixgram or unixpacket
	local   atomic.Pointer[Addr]
	remote  atomic.Pointer[Addr]
}

// stdStream is what the standard library's TCPConn and UnixConn have in common.
type stdStream interface {
	Conn
	syscall.Conn
	CloseRead() error
	CloseWrite() error
	File() (*os.File, error)
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
}

// wrap makes c a connection in runtime mode; rt is c's, and zero.
func (c *stream) wrap(rt *runtimeConn, s *Stack, std stdStream, network string) {
	rt.std, rt.stack = std, s
	c.rt, c.network = rt, network
}

func (c *stream) ok() bool { return c != nil && (c.rt != nil || c.conn.Load() != nil) }

// Read reads what has arrived, at least one byte, and waits for it until the read deadline. At the end of the stream it
// returns a bare io.EOF.
func (c *stream) Read(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if pc := c.conn.Load(); pc != nil {
		n, err := pc.Read(b)
		if err != nil {
			err = c.opError("read", err)
		}
		return n, err
	}
	return c.readRuntime(b)
}

// Write writes all of b, or returns how much of it was written and why not the rest.
func (c *stream) Write(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if pc := c.conn.Load(); pc != nil {
		n, err := pc.Write(b)
		if err != nil {
			err = c.opError("write", err)
		}
		return n, err
	}
	return c.writeRuntime(b)
}

// ReadLease is Read that hands over the engine's buffer with what has arrived, instead of copying it. The caller
// releases it, soon: it is one of the worker's receive buffers. In runtime mode it moves the connection to the engine.
func (c *stream) ReadLease() (buffers.Lease, error) {
	if !c.ok() {
		return buffers.Lease{}, syscall.EINVAL
	}
	pc := c.conn.Load()
	if pc == nil {
		if c.toEngine() != nil {
			return c.readWrapped()
		}
		pc = c.conn.Load()
	}
	l, err := pc.ReadLease()
	if err != nil {
		err = c.opError("read", err)
	}
	return l, err
}

// WriteLease writes the bytes of l like Write, and releases l in any case: with SetZeroCopy when the kernel has let go of the
// memory.
func (c *stream) WriteLease(l buffers.Lease) error {
	if c.ok() && c.conn.Load() != nil {
		pc := c.conn.Load()
		return c.opError("write", pc.WriteLease(l))
	}
	_, err := c.Write(l.Bytes())
	l.Release()
	return err
}

// Close closes the connection: whoever waits on it returns ErrClosed. It returns when the descriptor is closed, except in a
// callback of the engine, which must not wait. A second Close returns ErrClosed as well.
func (c *stream) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if pc := c.engineConn(); pc != nil {
		return c.opError("close", pc.CloseWait())
	}
	return c.closeRuntime()
}

// CloseRead shuts the reading side down: a Read that waits returns io.EOF.
func (c *stream) CloseRead() error {
	return c.either(stdStream.CloseRead, (*proactor.Conn).CloseRead, c.closeError)
}

// CloseWrite shuts the writing side down: the peer reads to the end of the stream.
func (c *stream) CloseWrite() error {
	return c.either(stdStream.CloseWrite, (*proactor.Conn).CloseWrite, c.closeError)
}

// SetDeadline sets both deadlines. A zero time means none; a past one ends at once whatever waits.
func (c *stream) SetDeadline(t time.Time) error { return c.setDeadline(t, readSide|writeSide) }

// SetReadDeadline sets the deadline of Read, also of one that waits already.
func (c *stream) SetReadDeadline(t time.Time) error { return c.setDeadline(t, readSide) }

// SetWriteDeadline sets the deadline of Write, also of one that waits already. A Write that fails may have written part.
func (c *stream) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, writeSide) }

// side names the halves of a connection.
type side uint8

const (
	readSide side = 1 << iota
	writeSide
)

func (c *stream) setDeadline(t time.Time, s side) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if pc := c.conn.Load(); pc != nil {
		return c.ownError("set", setDeadline(pc, t, s))
	}
	return c.deadlineRuntime(t, s)
}

// deadliner is what both modes can do.
type deadliner interface {
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

func setDeadline(d deadliner, t time.Time, s side) error {
	switch s {
	case readSide:
		return d.SetReadDeadline(t)
	case writeSide:
		return d.SetWriteDeadline(t)
	}
	return d.SetDeadline(t)
}

// LocalAddr is the connection's own address, which all calls share; do not modify it.
func (c *stream) LocalAddr() Addr { return c.address(true) }

// RemoteAddr is the peer's address, which all calls share; do not modify it.
func (c *stream) RemoteAddr() Addr { return c.address(false) }

// address returns an address. One that began in runtime mode has it from the standard library, for good; another one keeps
// it at its first use: most handlers never ask.
func (c *stream) address(local bool) Addr {
	switch {
	case !c.ok():
		return nil
	case c.rt != nil && local:
		return c.rt.std.LocalAddr()
	case c.rt != nil:
		return c.rt.std.RemoteAddr()
	}
	cache := &c.remote
	if local {
		cache = &c.local
	}
	if a := cache.Load(); a != nil {
		return *a
	}
	pc := c.conn.Load()
	raw := pc.RemoteAddr()
	if local {
		raw = pc.LocalAddr()
	}
	a := tcpAddr(raw)
	switch {
	case a == nil && strings.HasPrefix(c.network, "tcp"):
		// A peer that reset the connection before it was accepted. Whoever prints it must not meet nil.
		gone := Addr(&TCPAddr{})
		a = &gone
	case a == nil:
		return nil
	}
	if !cache.CompareAndSwap(nil, a) {
		a = cache.Load()
	}
	return *a
}

// tcpAddr converts an address; zones are named as the standard library does, by their interface. Address, its bytes and
// the interface value are one allocation.
func tcpAddr(a proactor.Addr) *Addr {
	ap := a.AddrPort()
	if !ap.IsValid() {
		return nil
	}
	var both struct {
		tcp  TCPAddr
		addr Addr
		ip   [16]byte
	}
	if ip := ap.Addr(); ip.Is4() {
		*(*[4]byte)(both.ip[:]) = ip.As4()
		both.tcp.IP = both.ip[:4:4]
	} else {
		both.ip = ip.As16()
		both.tcp.IP = both.ip[:]
	}
	both.tcp.Port = int(ap.Port())
	if z := a.Zone(); z != 0 {
		both.tcp.Zone = strconv.FormatUint(uint64(z), 10)
		if ifi, err := stdnet.InterfaceByIndex(int(z)); err == nil {
			both.tcp.Zone = ifi.Name
		}
	}
	both.addr = &both.tcp
	return &both.addr
}
