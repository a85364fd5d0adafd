//go:build linux

package net

import (
	"context"
	stdnet "net"
	"syscall"
	"time"
)

// ListenConfig has the options of listening. Its fields and methods are those of the standard library's, which makes the
// socket. The zero value works.
type ListenConfig struct {
	// Control is called with the socket before it is bound; network is tcp4 or tcp6.
	Control func(network, address string, c syscall.RawConn) error
	// KeepAlive is the interval between keep-alive probes of accepted connections when KeepAliveConfig.Enable is not
	// set. 0: 15 s; < 0: none.
	KeepAlive time.Duration
	// KeepAliveConfig is the keep-alive configuration in detail; Enable makes it count.
	KeepAliveConfig KeepAliveConfig

	mptcp multipath
	stack *Stack
}

func (lc *ListenConfig) std() *stdnet.ListenConfig {
	s := &stdnet.ListenConfig{Control: lc.Control, KeepAlive: lc.KeepAlive, KeepAliveConfig: lc.KeepAliveConfig}
	if lc.mptcp != multipathDefault {
		s.SetMultipathTCP(lc.mptcp == multipathOn)
	}
	return s
}

// MultipathTCP reports whether listeners accept Multipath TCP (RFC 8684).
func (lc *ListenConfig) MultipathTCP() bool { return lc.std().MultipathTCP() }

// SetMultipathTCP directs listeners to accept Multipath TCP, or not to, where the operating system supports it.
func (lc *ListenConfig) SetMultipathTCP(use bool) { lc.mptcp = multipathOf(use) }

// Listen listens on the local address; see the standard library's Listen for the forms of address. Errors are *OpError.
func (lc *ListenConfig) Listen(ctx context.Context, network, address string) (Listener, error) {
	return lc.on().listen(ctx, lc, network, address)
}

// ListenPacket opens a packet socket on the local address: udp, unixgram or ip in all their forms.
func (lc *ListenConfig) ListenPacket(ctx context.Context, network, address string) (PacketConn, error) {
	return lc.on().listenPacket(ctx, lc, network, address)
}

func (lc *ListenConfig) on() *Stack {
	if lc.stack != nil {
		return lc.stack
	}
	return defaultStack
}

func (s *Stack) listen(ctx context.Context, lc *ListenConfig, network, address string) (Listener, error) {
	var l stdnet.Listener
	var err error
	std := lc.std()
	// Keep-alive is ours, see presetAccepted: the standard library would set it with four system calls per connection.
	std.KeepAlive, std.KeepAliveConfig = -1, KeepAliveConfig{}
	await(func() { l, err = std.Listen(ctx, network, address) })
	if err != nil {
		return nil, err
	}
	return s.takeListener(l, lc.keepAlive(), network, lc.Control != nil), nil
}

// keptAliveByStd is for listeners that the standard library has made with its default.
func keptAliveByStd() keepAlive {
	k := new(ListenConfig).keepAlive()
	k.byStd = true
	return k
}

// takeListener makes a listener of the standard library one of ours. foreign is socketListener's.
func (s *Stack) takeListener(l Listener, ka keepAlive, network string, foreign bool) Listener {
	switch std := l.(type) {
	case *stdnet.TCPListener:
		tl := s.wrapTCPListener(std, ka, network)
		tl.foreign = foreign
		return tl
	case *stdnet.UnixListener:
		ul := s.wrapUnixListener(std, network)
		ul.foreign = foreign
		return ul
	}
	return l
}

// ListenTCP listens on laddr, where nil means any address and port, on tcp, tcp4 or tcp6.
func (s *Stack) ListenTCP(network string, laddr *TCPAddr) (*TCPListener, error) {
	tl, err := stdnet.ListenTCP(network, laddr)
	if err != nil {
		return nil, err
	}
	return s.wrapTCPListener(tl, keptAliveByStd(), network), nil
}

// ListenUnix listens on laddr, on unix or unixpacket.
func (s *Stack) ListenUnix(network string, laddr *UnixAddr) (*UnixListener, error) {
	ul, err := stdnet.ListenUnix(network, laddr)
	if err != nil {
		return nil, err
	}
	return s.wrapUnixListener(ul, network), nil
}

// Listen listens on the local address: tcp, tcp4, tcp6, unix or unixpacket. Errors are *OpError.
func Listen(network, address string) (Listener, error) { return defaultStack.Listen(network, address) }

// ListenTCP listens on laddr, where nil means any address and port, on tcp, tcp4 or tcp6.
func ListenTCP(network string, laddr *TCPAddr) (*TCPListener, error) {
	return defaultStack.ListenTCP(network, laddr)
}

// ListenUnix listens on laddr, on unix or unixpacket.
func ListenUnix(network string, laddr *UnixAddr) (*UnixListener, error) {
	return defaultStack.ListenUnix(network, laddr)
}
