//go:build linux

package net

import (
	"context"
	"errors"
	"fmt"
	stdnet "net"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/proactor"
)

var (
	errServed    = errors.New("the listener is being served: Accept and Serve cannot share it")
	errAccepting = errors.New("an Accept is under way on the listener: Accept and Serve cannot share it")
)

// Serve is the function Serve on the stack's engine; the engine of a listener of this package is the one it was made on.
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

// onEngine has the engine accept where it can, until that ends. It reports whether it could.
func (s *serving) onEngine(ctx context.Context, l Listener) (error, bool) {
	switch l := l.(type) {
	case nil:
		return unix.EINVAL, true
	case *TCPListener:
		if l == nil {
			return unix.EINVAL, true
		}
		return s.socket(ctx, &l.socketListener, func(pc *proactor.Conn) Conn {
			if l.keepAlive.bare {
				_ = pc.Control(func(fd int) error { l.keepAlive.setOn(fd); return nil })
			}
			return newEngineConn(pc, l.network)
		}), true
	case *UnixListener:
		if l == nil {
			return unix.EINVAL, true
		}
		return s.socket(ctx, &l.socketListener, func(pc *proactor.Conn) Conn {
			return newEngineUnix(pc, l.network, l.Addr())
		}), true
	case *stdnet.TCPListener:
		if l == nil {
			return unix.EINVAL, true
		}
	case *stdnet.UnixListener:
		if l == nil {
			return unix.EINVAL, true
		}
	default:
		if s.cfg.FirstBytesTimeout > 0 {
			return errFirstBytes(l), true
		}
	}
	return nil, false
}

// socket has the engine accept; wrap makes a connection of this package of what it accepts.
func (s *serving) socket(ctx context.Context, l *socketListener, wrap func(*proactor.Conn) Conn) error {
	if !l.ok() {
		return unix.EINVAL
	}
	e, err := s.engineOf(l)
	if err != nil {
		return l.opError("accept", err)
	}
	var a *proactor.Acceptor
	known := make(chan struct{}) // a is set
	s.hold = func(on bool) { <-known; a.Hold(on) }
	s.start = func(c Conn) { s.startOnEngine(c) }
	if a, err = l.serve(e, func(pc *proactor.Conn) { s.offer(wrap(pc)) }); err != nil {
		return err
	}
	close(known)
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
func (s *serving) engineOf(l *socketListener) (*proactor.Engine, error) {
	if s.cfg.stack.fixed == nil {
		return l.stack.engine()
	}
	return s.cfg.stack.engine()
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
	a, err := e.Accept(engineListener{l.std, l}, each)
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

// startOnEngine runs the handler of a connection that is on the engine. Any goroutine, loop state included; it must not
// block.
func (s *serving) startOnEngine(conn Conn) {
	pc := streamOf(conn).conn.Load()
	if s.cfg.ReceiveBuffers > 0 || s.cfg.WriteQueue > 0 {
		pc.SetLimits(s.cfg.ReceiveBuffers, s.cfg.WriteQueue)
	}
	run := func() {
		defer pc.Close()
		s.handler(conn)
	}
	if !s.plain {
		v := s.track(conn)
		s.watchFirst(v, conn)
		run = func() {
			defer s.done(v)
			defer pc.Close()
			s.handler(conn)
		}
		if err := pc.Start(run, nil, s.cfg.Goroutines); err != nil {
			_ = pc.Close()
			s.done(v)
		}
		return
	}
	if err := pc.Start(run, nil, s.cfg.Goroutines); err != nil {
		_ = pc.Close() // the engine shuts down, or too many handlers wait for their worker
	}
}

// beginOnEngine runs the handler of a connection that another listener has accepted on the engine, if it can go there.
// *conn becomes one of this package's where there is a type for it.
func (s *serving) beginOnEngine(conn *Conn) bool {
	*conn = s.cfg.stack.own(*conn, networkOf(*conn))
	st := streamOf(*conn)
	if st == nil {
		return false
	}
	err := st.toEngine()
	switch {
	case errors.Is(err, proactor.ErrShutdown):
		_ = (*conn).Close()
		s.unused()
		s.shutdown()
		return true
	case err != nil:
		if s.cfg.FirstBytesTimeout > 0 || s.cfg.ReceiveBuffers > 0 || s.cfg.WriteQueue > 0 {
			st.rt.bounds = &bounds{receiveBuffers: s.cfg.ReceiveBuffers, writeQueue: s.cfg.WriteQueue}
		}
		return false
	}
	s.startOnEngine(*conn)
	return true
}

// untilShutdown is ctx that ends with the engine, too, until the function returned is called: where there is one from the
// beginning, at once, and the package's own when a connection finds that.
func (s *serving) untilShutdown(ctx context.Context, l Listener) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.shutdown = func() {
		addr := l.Addr()
		cancel(&OpError{Op: "accept", Net: addr.Network(), Addr: addr, Err: proactor.ErrShutdown})
	}
	if e := s.givenEngine(l); e != nil {
		go func() {
			select {
			case <-e.Ending():
				s.shutdown()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, func() { cancel(nil) }
}

// givenEngine is the engine that l's connections go to. It does not start one that they may never need.
func (s *serving) givenEngine(l Listener) *proactor.Engine {
	switch l.(type) {
	case *stdnet.TCPListener, *stdnet.UnixListener:
	default:
		if s.cfg.stack.fixed == nil {
			return nil
		}
	}
	e, err := s.cfg.stack.engine()
	if err != nil {
		return nil // all handlers run on goroutines
	}
	return e
}

// errFirstBytes is why a listener is refused.
func errFirstBytes(l Listener) error {
	return fmt.Errorf("net: ServeConfig.FirstBytesTimeout counts the bytes of TCP and Unix connections; "+
		"those of a %T hide them: serve the listener below it, or set a read deadline in the handler", l)
}
