package net

import (
	"context"
	stdnet "net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/proactor"
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

// ListenPacket is the standard library's.
func (lc *ListenConfig) ListenPacket(ctx context.Context, network, address string) (PacketConn, error) {
	return lc.std().ListenPacket(ctx, network, address)
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
	await(func() { l, err = lc.std().Listen(ctx, network, address) })
	tl, ok := l.(*stdnet.TCPListener)
	if err != nil || !ok {
		return l, err
	}
	return s.wrapListener(tl, lc, network), nil
}

// ListenTCP listens on laddr, where nil means any address and port, on tcp, tcp4 or tcp6.
func (s *Stack) ListenTCP(network string, laddr *TCPAddr) (*TCPListener, error) {
	tl, err := stdnet.ListenTCP(network, laddr)
	if err != nil {
		return nil, err
	}
	return s.wrapListener(tl, &ListenConfig{}, network), nil
}

// Listen listens on the local address: tcp, tcp4, tcp6, or any other stream network of the standard library, whose
// listeners are returned as they are. Errors are *OpError.
func Listen(network, address string) (Listener, error) { return defaultStack.Listen(network, address) }

// ListenTCP listens on laddr, where nil means any address and port, on tcp, tcp4 or tcp6.
func ListenTCP(network string, laddr *TCPAddr) (*TCPListener, error) {
	return defaultStack.ListenTCP(network, laddr)
}

// TCPListener is a listening TCP socket. All methods are safe from any goroutine or coroutine.
//
// Owners. The socket is std's; Accept goes there. While Serve runs, the engine's acceptor works on a duplicate of the
// descriptor, and since it may have switched the socket to blocking mode, nobody else accepts: acceptor is set then, and
// accepting counts those inside std. Each of the two refuses to begin while the other is there. mu guards the fields
// below it and is not held while waiting.
type TCPListener struct {
	std     *stdnet.TCPListener
	stack   *Stack
	network string

	mu        sync.Mutex
	serving   bool
	acceptor  *proactor.Acceptor
	accepting int
	closed    bool
	gone      chan struct{} // closed when Close has closed std
}

func (s *Stack) wrapListener(tl *stdnet.TCPListener, lc *ListenConfig, network string) *TCPListener {
	presetAccepted(tl, lc)
	return &TCPListener{std: tl, stack: s, network: network, gone: make(chan struct{})}
}

func (l *TCPListener) ok() bool { return l != nil && l.std != nil }

// Accept waits for the next connection, until the deadline. On a coroutine it suspends.
func (l *TCPListener) Accept() (Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptTCP is Accept with the connection's own type.
func (l *TCPListener) AcceptTCP() (*TCPConn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	l.mu.Lock()
	if l.serving {
		l.mu.Unlock()
		return nil, l.opError("accept", errServed)
	}
	l.accepting++
	l.mu.Unlock()
	coroutine := onCoroutine()
	var tc *stdnet.TCPConn
	var err error
	if !coroutine {
		tc, err = l.std.AcceptTCP()
	} else {
		await(func() { tc, err = l.std.AcceptTCP() })
	}
	l.mu.Lock()
	l.accepting--
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c := l.stack.wrap(tc, l.network)
	if l.stack.onEngine(coroutine) {
		if err := c.toEngine(); err != nil {
			_ = c.Close()
			return nil, l.opError("accept", err)
		}
	}
	return c, nil
}

// Close stops listening: Accept and Serve return ErrClosed, and the address is free when Close returns. Connections that
// were accepted live on.
func (l *TCPListener) Close() error {
	if !l.ok() {
		return syscall.EINVAL
	}
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	a := l.acceptor
	l.mu.Unlock()
	if a != nil {
		_ = a.Close()
	}
	err := l.std.Close()
	if first {
		close(l.gone)
	}
	return err
}

// Addr is the address listened on, a *TCPAddr that all calls share; do not modify it.
func (l *TCPListener) Addr() Addr { return l.std.Addr() }

// SetDeadline sets the deadline of Accept, also of one that waits already; zero means none. Serve has none.
func (l *TCPListener) SetDeadline(t time.Time) error {
	if !l.ok() {
		return syscall.EINVAL
	}
	return l.std.SetDeadline(t)
}

// SyscallConn gives access to the descriptor by Control, as the standard library's does; Read and Write of it fail.
func (l *TCPListener) SyscallConn() (syscall.RawConn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	return l.std.SyscallConn()
}

// File returns a copy of the descriptor, which the caller closes.
func (l *TCPListener) File() (*os.File, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	return l.std.File()
}

func (l *TCPListener) opError(op string, err error) error {
	return &OpError{Op: op, Net: l.network, Addr: l.std.Addr(), Err: err}
}

var _ Listener = (*TCPListener)(nil)
