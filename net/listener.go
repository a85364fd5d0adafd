//go:build linux

package net

import (
	"context"
	stdnet "net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/proactor"
)

// socketListener is what TCPListener and UnixListener have in common. Its exported methods are theirs. All are safe from
// any goroutine or coroutine.
//
// Owners. The socket is std's; Accept goes there. While Serve runs, the engine's acceptor works on a duplicate of the
// descriptor, and since it may have switched the socket to blocking mode, nobody else accepts: acceptor is set then, and
// accepting counts those inside std. Each of the two refuses to begin while the other is there. mu guards the fields
// below it and is not held while waiting.
type socketListener struct {
	std     stdListener
	stack   *Stack
	network string
	foreign bool        // somebody else had the socket before: ListenConfig.Control, or the file that it came from
	exposed atomic.Bool // somebody else may have set options of the socket since

	mu        sync.Mutex
	deadline  time.Time     // the user's
	cancelled int           // AcceptContexts that are being ended: std's deadline is past meanwhile
	calm      chan struct{} // closed when there are none any more
	serving   bool
	acceptor  *proactor.Acceptor
	accepting int
	closed    bool
	gone      chan struct{} // closed when Close has closed std
}

// stdListener is what the standard library's TCPListener and UnixListener have in common.
type stdListener interface {
	Listener
	syscall.Conn
	SetDeadline(time.Time) error
	File() (*os.File, error)
}

func (l *socketListener) wrap(s *Stack, std stdListener, network string) {
	l.std, l.stack, l.network, l.gone = std, s, network, make(chan struct{})
}

func (l *socketListener) ok() bool { return l != nil && l.std != nil }

// accept waits for the next connection of the standard library's. ctx may be nil.
func (l *socketListener) accept(ctx context.Context) (c Conn, coroutine bool, err error) {
	if !l.ok() {
		return nil, false, syscall.EINVAL
	}
	l.mu.Lock()
	if l.serving {
		l.mu.Unlock()
		return nil, false, l.opError("accept", errServed)
	}
	l.accepting++
	l.mu.Unlock()
	if coroutine = onCoroutine(); coroutine {
		c, err = awaited(func() (Conn, error) { return l.acceptStd(ctx) })
	} else {
		c, err = l.acceptStd(ctx)
	}
	l.mu.Lock()
	l.accepting--
	l.mu.Unlock()
	return c, coroutine, err
}

// Close stops listening: Accept and Serve return ErrClosed, and the address is free when Close returns. Connections that
// were accepted live on.
func (l *socketListener) Close() error {
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

// Addr is the address listened on, which all calls share; do not modify it.
func (l *socketListener) Addr() Addr { return l.std.Addr() }

// SetDeadline sets the deadline of Accept, also of one that waits already; zero means none. Serve has none.
func (l *socketListener) SetDeadline(t time.Time) error {
	if !l.ok() {
		return syscall.EINVAL
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = t
	if l.cancelled > 0 {
		return nil // set when it is calm again
	}
	return l.std.SetDeadline(t)
}

// SyscallConn gives access to the descriptor by Control, as the standard library's does; Read and Write of it fail.
func (l *socketListener) SyscallConn() (syscall.RawConn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	l.exposed.Store(true)
	return l.std.SyscallConn()
}

// File returns a copy of the descriptor, which the caller closes.
func (l *socketListener) File() (*os.File, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	l.exposed.Store(true)
	return l.std.File()
}

// engineListener is a listener as the engine's acceptor sees it.
type engineListener struct {
	syscall.Conn
	l *socketListener
}

// Sealed tells the acceptor that nobody can have set options that connections inherit.
func (e engineListener) Sealed() bool { return !e.l.foreign && !e.l.exposed.Load() }

func (l *socketListener) opError(op string, err error) error {
	return &OpError{Op: op, Net: l.network, Addr: l.std.Addr(), Err: err}
}

// TCPListener is a listening TCP socket. All methods are safe from any goroutine or coroutine.
type TCPListener struct {
	socketListener
	keepAlive keepAlive
}

// wrapTCPListener makes a TCPListener. ka is what its connections are to have, and whether std sets that by itself.
func (s *Stack) wrapTCPListener(tl *stdnet.TCPListener, ka keepAlive, network string) *TCPListener {
	presetAccepted(tl, &ka)
	s.severalPs() // those that there are when a server begins count, too
	l := &TCPListener{keepAlive: ka}
	l.wrap(s, tl, network)
	return l
}

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
	return l.acceptTCP(noContext)
}

// AcceptContext is Accept that ends with ctx as well: the *OpError then holds ctx.Err().
func (l *TCPListener) AcceptContext(ctx context.Context) (Conn, error) {
	c, err := l.acceptTCP(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (l *TCPListener) acceptTCP(ctx context.Context) (*TCPConn, error) {
	c, coroutine, err := l.accept(ctx)
	if err != nil {
		return nil, err
	}
	std := c.(*stdnet.TCPConn)
	if l.keepAlive.each(l.exposed.Load()) {
		_ = std.SetKeepAliveConfig(l.keepAlive.KeepAliveConfig) // errors are ignored like in the standard library
	}
	tc := l.stack.wrapTCP(std, l.network)
	return begin(&tc.stream, tc, coroutine, "accept")
}

// UnixListener is a listening Unix socket, of network unix or unixpacket. All methods are safe from any goroutine or
// coroutine.
type UnixListener struct{ socketListener }

func (s *Stack) wrapUnixListener(ul *stdnet.UnixListener, network string) *UnixListener {
	l := new(UnixListener)
	l.wrap(s, ul, network)
	return l
}

// Accept waits for the next connection, until the deadline. On a coroutine it suspends.
func (l *UnixListener) Accept() (Conn, error) {
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptUnix is Accept with the connection's own type.
func (l *UnixListener) AcceptUnix() (*UnixConn, error) {
	return l.acceptUnix(noContext)
}

// AcceptContext is Accept that ends with ctx as well: the *OpError then holds ctx.Err().
func (l *UnixListener) AcceptContext(ctx context.Context) (Conn, error) {
	c, err := l.acceptUnix(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (l *UnixListener) acceptUnix(ctx context.Context) (*UnixConn, error) {
	c, coroutine, err := l.accept(ctx)
	if err != nil {
		return nil, err
	}
	uc := l.stack.wrapUnix(c.(*stdnet.UnixConn), l.network)
	return begin(&uc.stream, uc, coroutine, "accept")
}

// SetUnlinkOnClose sets whether Close removes the socket's file. It does so from the beginning where Listen made the
// file, and not where the listener came from FileListener.
func (l *UnixListener) SetUnlinkOnClose(unlink bool) {
	if l.ok() {
		l.std.(*stdnet.UnixListener).SetUnlinkOnClose(unlink)
	}
}

var (
	_ Listener = (*TCPListener)(nil)
	_ Listener = (*UnixListener)(nil)
)
