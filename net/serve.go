//go:build linux

package net

import (
	"context"
	"errors"
	"log"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/proactor"
)

var (
	errServed    = errors.New("the listener is being served: Accept and Serve cannot share it")
	errAccepting = errors.New("an Accept is under way on the listener: Accept and Serve cannot share it")
)

// ServeConfig has the options of serving. The zero value works.
type ServeConfig struct {
	// Goroutines runs each handler on an ordinary goroutine instead of a coroutine: for handlers that call
	// runtime.LockOSThread, or that wait for connections inside callbacks from C. Default: coroutines.
	Goroutines bool

	stack *Stack
}

// Serve accepts connections on l and runs handler for each, as a coroutine of the engine. The connection is closed when
// its handler returns, panics or calls runtime.Goexit; a panic is logged by the engine with its stack and ends nothing
// else. See the package comment for what a handler must not do.
//
// On a *TCPListener of this package the engine accepts, and spreads the connections over its workers; Accept must not be
// used meanwhile. From any other listener, connections that are the standard library's *net.TCPConn are moved to the
// engine; handlers of all others run on goroutines.
//
// Serve blocks until l is closed, and then returns what Accept would: an *OpError with ErrClosed; or until the engine
// shuts down: one with proactor.ErrShutdown. It does not wait for handlers. When descriptors run out it waits until there
// are some again.
func Serve(l Listener, handler func(Conn)) error { return ServeConfig{}.Serve(l, handler) }

// ServeContext is Serve that stops accepting when ctx ends, and then returns ctx's error. A *TCPListener of this package
// stays open and can be used again; any other listener is closed, as its Accept can be ended by nothing else.
func ServeContext(ctx context.Context, l Listener, handler func(Conn)) error {
	return ServeConfig{}.ServeContext(ctx, l, handler)
}

// Serve is the function Serve on the stack's engine; the engine of a *TCPListener is the one it was made on.
func (s *Stack) Serve(l Listener, handler func(Conn)) error {
	return ServeConfig{stack: s}.Serve(l, handler)
}

// ServeContext is the function ServeContext on the stack's engine.
func (s *Stack) ServeContext(ctx context.Context, l Listener, handler func(Conn)) error {
	return ServeConfig{stack: s}.ServeContext(ctx, l, handler)
}

// ServeConfig returns a copy of c that serves on the stack's engine.
func (s *Stack) ServeConfig(c ServeConfig) ServeConfig {
	c.stack = s
	return c
}

// Serve is the function Serve with these options.
func (c ServeConfig) Serve(l Listener, handler func(Conn)) error {
	return c.ServeContext(context.Background(), l, handler)
}

// ServeContext is the function ServeContext with these options.
func (c ServeConfig) ServeContext(ctx context.Context, l Listener, handler func(Conn)) (err error) {
	if handler == nil {
		return errors.New("net: Serve without a handler")
	}
	if c.stack == nil {
		c.stack = defaultStack
	}
	await(func() {
		switch l := l.(type) {
		case *TCPListener:
			err = c.serveSocket(ctx, &l.socketListener, handler, func(pc *proactor.Conn) Conn {
				return newEngineConn(pc, l.network)
			})
		case *UnixListener:
			err = c.serveSocket(ctx, &l.socketListener, handler, func(pc *proactor.Conn) Conn {
				return newEngineUnix(pc, l.network, l.Addr())
			})
		default:
			err = c.serveOther(ctx, l, handler)
		}
	})
	return err
}

// serveSocket has the engine accept; wrap makes a connection of this package of what it accepts.
func (c ServeConfig) serveSocket(ctx context.Context, l *socketListener, handler func(Conn), wrap func(*proactor.Conn) Conn) error {
	if !l.ok() {
		return unix.EINVAL
	}
	e, err := c.engineOf(l)
	if err != nil {
		return l.opError("accept", err)
	}
	a, err := l.serve(e, func(pc *proactor.Conn) { c.start(wrap(pc), pc, handler) })
	if err != nil {
		return err
	}
	why := a.Wait(ctx)
	_ = a.Close()
	closed := l.served()
	switch {
	case closed:
		<-l.gone
		_, err := l.std.Accept() // the standard library's own error
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case why == proactor.ErrClosed:
		return l.opError("accept", proactor.ErrShutdown)
	}
	return l.opError("accept", why)
}

// engineOf picks the engine: the one that Serve was called on, else the listener's.
func (c ServeConfig) engineOf(l *socketListener) (*proactor.Engine, error) {
	if c.stack.fixed == nil {
		return l.stack.engine()
	}
	return c.stack.engine()
}

// serve starts an acceptor on l.
func (l *socketListener) serve(e *proactor.Engine, each func(*proactor.Conn)) (*proactor.Acceptor, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, l.opError("accept", ErrClosed)
	case l.serving:
		return nil, l.opError("accept", errServed)
	case l.accepting > 0:
		return nil, l.opError("accept", errAccepting)
	}
	a, err := e.Accept(l.std, each)
	if err != nil {
		return nil, l.opError("accept", err)
	}
	l.serving, l.acceptor = true, a
	return a, nil
}

// served ends a Serve: Accept works again. It reports whether l is closed.
func (l *socketListener) served() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serving, l.acceptor = false, nil
	// An Accept must never meet a socket in blocking mode: it would hold std, and Close, up in the system call.
	if raw, err := l.std.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetNonblock(int(fd), true) })
	}
	return l.closed
}

// start runs the handler of one connection. It is called on the worker and must not block.
func (c ServeConfig) start(conn Conn, pc *proactor.Conn, handler func(Conn)) {
	run := func() {
		defer pc.Close()
		handler(conn)
	}
	if err := pc.Start(run, nil, c.Goroutines); err != nil {
		_ = pc.Close() // the engine shuts down, or too many handlers wait for their worker
	}
}

// serveOther accepts on a listener that is not ours.
func (c ServeConfig) serveOther(ctx context.Context, l Listener, handler func(Conn)) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var pause time.Duration
	for {
		conn, err := l.Accept()
		if err == nil {
			pause = 0
			c.startOther(conn, handler)
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !tryAgain(err) {
			return err
		}
		pause = min(max(2*pause, shortestPause), longestPause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// How long accepting pauses when descriptors or memory lack: from the first to the second, doubling.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = 500 * time.Millisecond
)

// tryAgain reports whether an error of Accept passes when descriptors or memory are free again.
func tryAgain(err error) bool {
	for _, errno := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.ECONNABORTED} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// startOther runs the handler of a connection that another listener has accepted.
func (c ServeConfig) startOther(conn Conn, handler func(Conn)) {
	conn = c.stack.own(conn, networkOf(conn))
	if ours := streamOf(conn); ours != nil && ours.toEngine() == nil {
		c.start(conn, ours.conn.Load(), handler)
		return
	}
	go func() {
		defer conn.Close()
		defer func() {
			if p := recover(); p != nil {
				log.Printf("ouro: panic in a handler: %v\n%s", p, debug.Stack())
			}
		}()
		handler(conn)
	}()
}
