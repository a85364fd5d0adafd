//go:build linux

package net

import (
	"context"
	stdnet "net"
	"syscall"
	"time"
)

// Dialer has the options of dialling. Its fields and methods are those of the standard library's Dialer, which does the
// work: resolution, Happy Eyeballs, timeouts. The zero value works. Safe for concurrent use as long as nobody changes it.
type Dialer struct {
	// Timeout bounds a dial, all addresses of a name together. 0: none but the operating system's.
	Timeout time.Duration
	// Deadline is the point in time after which dials fail; with Timeout the earlier counts. Zero: none.
	Deadline time.Time
	// LocalAddr is the address to dial from; it must fit the network. nil: chosen automatically.
	LocalAddr Addr
	// DualStack is as in the standard library: ignored, RFC 6555 fallback is always on.
	//
	// Deprecated: set FallbackDelay to a negative value to switch the fallback off.
	DualStack bool
	// FallbackDelay is how long to wait for IPv6 before IPv4 is tried as well (RFC 6555). 0: 300 ms; < 0: no fallback.
	FallbackDelay time.Duration
	// KeepAlive is the interval between keep-alive probes when KeepAliveConfig.Enable is not set. 0: 15 s; < 0: none.
	KeepAlive time.Duration
	// KeepAliveConfig is the keep-alive configuration in detail; Enable makes it count.
	KeepAliveConfig KeepAliveConfig
	// Resolver resolves names. nil: the default resolver.
	Resolver *Resolver
	// Cancel, when closed, cancels the dial.
	//
	// Deprecated: use DialContext.
	Cancel <-chan struct{}
	// Control is called with each new socket before it is bound or connected; network is tcp4 or tcp6.
	Control func(network, address string, c syscall.RawConn) error
	// ControlContext is Control with the dial's context, and takes precedence.
	ControlContext func(ctx context.Context, network, address string, c syscall.RawConn) error

	mptcp multipath
	stack *Stack
}

// multipath is the setting of SetMultipathTCP: the standard library's own default until it is called.
type multipath uint8

const (
	multipathDefault multipath = iota
	multipathOn
	multipathOff
)

func multipathOf(use bool) multipath {
	if use {
		return multipathOn
	}
	return multipathOff
}

// std returns the standard library's Dialer with the same settings.
func (d *Dialer) std() *stdnet.Dialer {
	s := &stdnet.Dialer{
		Timeout: d.Timeout, Deadline: d.Deadline, LocalAddr: d.LocalAddr, FallbackDelay: d.FallbackDelay,
		KeepAlive: d.KeepAlive, KeepAliveConfig: d.KeepAliveConfig, Resolver: resolverOr(d.Resolver),
		Control: d.Control, ControlContext: d.ControlContext,
	}
	//lint:ignore SA1019 part of the API that this one replaces; whoever sets it gets what package net does
	s.DualStack = d.DualStack
	//lint:ignore SA1019 as above
	s.Cancel = d.Cancel
	if d.mptcp != multipathDefault {
		s.SetMultipathTCP(d.mptcp == multipathOn)
	}
	return s
}

// MultipathTCP reports whether dials ask for Multipath TCP (RFC 8684).
func (d *Dialer) MultipathTCP() bool { return d.std().MultipathTCP() }

// SetMultipathTCP directs dials to ask for Multipath TCP, or not to, where the operating system supports it.
func (d *Dialer) SetMultipathTCP(use bool) { d.mptcp = multipathOf(use) }

// Dial connects to address; see the standard library's Dial for the networks and forms of address. On a coroutine it
// suspends. Errors are *OpError.
func (d *Dialer) Dial(network, address string) (Conn, error) {
	return d.on().dial(context.Background(), d, network, address)
}

// DialContext is Dial that gives up when ctx ends. Once connected, ctx does not matter any more. It panics when ctx is
// nil.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (Conn, error) {
	if ctx == nil {
		panic("nil context")
	}
	return d.on().dial(ctx, d, network, address)
}

func (d *Dialer) on() *Stack {
	if d.stack != nil {
		return d.stack
	}
	return defaultStack
}

// dial has the standard library connect, and takes the connection over.
func (s *Stack) dial(ctx context.Context, d *Dialer, network, address string) (c Conn, err error) {
	coroutine := onCoroutine()
	if !coroutine {
		c, err = d.std().DialContext(ctx, network, address)
	} else {
		await(func() { c, err = d.std().DialContext(ctx, network, address) })
	}
	if err != nil {
		return nil, err
	}
	return s.take(c, network, coroutine, "dial")
}

// take makes a connection of the standard library one of ours. Where it is to begin its life on the engine and cannot, it
// is closed, and op is what failed.
func (s *Stack) take(c Conn, network string, coroutine bool, op string) (Conn, error) {
	c = s.own(c, network)
	if st := streamOf(c); st != nil {
		return begin(st, c, coroutine, op)
	}
	return c, nil
}

// own is take that leaves streams in runtime mode.
func (s *Stack) own(c Conn, network string) Conn {
	switch std := c.(type) {
	case *stdnet.TCPConn:
		return s.wrapTCP(std, network)
	case *stdnet.UnixConn:
		return s.wrapUnix(std, network)
	case *stdnet.UDPConn:
		return s.wrapUDP(std, network)
	case *stdnet.IPConn:
		return s.wrapIP(std)
	}
	return c
}

// streamOf is the stream of a connection of this package, nil for any other.
func streamOf(c Conn) *stream {
	switch c := c.(type) {
	case *TCPConn:
		return &c.stream
	case *UnixConn:
		return &c.stream
	}
	return nil
}

// begin decides where c begins its life; whole is the connection that c is part of. Where descriptors or memory lack for the
// move, it begins in runtime mode and moves later: the standard library would not have lost it.
func begin[C any](c *stream, whole C, coroutine bool, op string) (C, error) {
	if c.rt.stack.onEngine(coroutine) {
		if err := c.toEngine(); err != nil && !tryAgain(err) {
			_ = c.Close()
			var none C
			return none, c.opError(op, err)
		}
	}
	return whole, nil
}

// connect is dial for the functions that return a type of their own: std connects and own makes it ours.
func connect[S, C any](std func() (S, error), own func(c S, coroutine bool) (C, error)) (C, error) {
	var c S
	var err error
	coroutine := onCoroutine()
	if !coroutine {
		c, err = std()
	} else {
		await(func() { c, err = std() })
	}
	if err != nil {
		var none C
		return none, err
	}
	return own(c, coroutine)
}

// ownTCP and ownUnix are for connect.

func (s *Stack) ownTCP(network string) func(*stdnet.TCPConn, bool) (*TCPConn, error) {
	return func(tc *stdnet.TCPConn, coroutine bool) (*TCPConn, error) {
		c := s.wrapTCP(tc, network)
		return begin(&c.stream, c, coroutine, "dial")
	}
}

func (s *Stack) ownUnix(network string) func(*stdnet.UnixConn, bool) (*UnixConn, error) {
	return func(uc *stdnet.UnixConn, coroutine bool) (*UnixConn, error) {
		c := s.wrapUnix(uc, network)
		return begin(&c.stream, c, coroutine, "dial")
	}
}

// DialTCP connects to raddr from laddr, which may be nil, on tcp, tcp4 or tcp6.
func (s *Stack) DialTCP(network string, laddr, raddr *TCPAddr) (*TCPConn, error) {
	return connect(func() (*stdnet.TCPConn, error) { return stdnet.DialTCP(network, laddr, raddr) }, s.ownTCP(network))
}

// DialUnix connects to raddr from laddr, which may be nil, on unix, unixgram or unixpacket.
func (s *Stack) DialUnix(network string, laddr, raddr *UnixAddr) (*UnixConn, error) {
	return connect(func() (*stdnet.UnixConn, error) { return stdnet.DialUnix(network, laddr, raddr) }, s.ownUnix(network))
}

// Dial connects to address on any network of the standard library: tcp, udp, ip and unix in all their forms. On a
// coroutine it suspends. Errors are *OpError.
func Dial(network, address string) (Conn, error) { return defaultStack.Dial(network, address) }

// DialTimeout is Dial that gives up after timeout, name resolution included; then Timeout() of the error is true.
func DialTimeout(network, address string, timeout time.Duration) (Conn, error) {
	return defaultStack.DialTimeout(network, address, timeout)
}

// DialTCP connects to raddr from laddr, which may be nil, on tcp, tcp4 or tcp6.
func DialTCP(network string, laddr, raddr *TCPAddr) (*TCPConn, error) {
	return defaultStack.DialTCP(network, laddr, raddr)
}

// DialUnix connects to raddr from laddr, which may be nil, on unix, unixgram or unixpacket.
func DialUnix(network string, laddr, raddr *UnixAddr) (*UnixConn, error) {
	return defaultStack.DialUnix(network, laddr, raddr)
}
