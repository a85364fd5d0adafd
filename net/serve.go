package net

import (
	"context"
	"errors"
	"fmt"
	"log"
	"runtime/debug"
	"syscall"
	"time"
)

// ServeConfig has the options of serving. The zero value works, and bounds nothing.
type ServeConfig struct {
	// Goroutines runs each handler on an ordinary goroutine instead of a coroutine: for handlers that call
	// runtime.LockOSThread, or that wait for connections inside callbacks from C. Default: coroutines. On systems other
	// than Linux handlers always run on goroutines.
	Goroutines bool

	// Drain is how long Serve waits for handlers to return once it accepts no more, because the listener was closed, the
	// context has ended, or accepting failed. Connections that are open after that are closed, and Serve's error says how
	// many; it waits up to 5 s more for the handlers to notice, and not longer for those that ignore it. 0: it does not
	// wait, and closes nothing; < 0: it waits without limit.
	Drain time.Duration
	// OnDrain is called once for each open connection when Drain begins, one after the other, on a goroutine. It is the
	// place to tell a handler that waits for its next request to stop: c.SetReadDeadline(time.Now()), or a goodbye of the
	// protocol. It must not wait. nil: nobody is told.
	OnDrain func(c Conn)

	// MaxConns bounds the connections that are served at a time. Beyond it accepting pauses, and those that were accepted
	// already (up to one batch) wait for their handler, so further ones stand in the listener's backlog, whose length the
	// operating system bounds. On a listener that is not of this package, Serve learns that it was closed only when it may
	// accept again. 0: no bound.
	MaxConns int
	// AcceptRate bounds the connections taken per second, on average; what comes faster waits like beyond MaxConns.
	// 0: no bound.
	AcceptRate float64
	// AcceptBurst is how many connections may come at once before AcceptRate counts. 0: AcceptRate rounded up.
	AcceptBurst int
	// FirstBytesTimeout closes a connection that has not received FirstBytes bytes this long after its handler could
	// begin: one that is opened and left idle, or that sends its first request a byte at a time. What counts is what its
	// socket has received by then, read or not, by whatever means; of a Unix socket, from which a handler reads by
	// SyscallConn().Read or a copy of the descriptor (File), nothing is known, and it is not closed from the first use of
	// either on (what SyscallConn().Control reads there counts as not received). What comes later is the handler's to bound
	// (SetReadDeadline). 0: no bound. For connections of TCP and Unix listeners; Serve refuses it for others, and on
	// systems other than Linux it has no effect.
	FirstBytesTimeout time.Duration
	// FirstBytes is see FirstBytesTimeout. 0: 1 byte.
	FirstBytes int
	// ReceiveBuffers bounds what the engine receives ahead for a connection whose handler does not read: this many
	// buffers, of 64 KiB by default (proactor.Config.ReceiveQuota, which also tells by how much a burst may exceed it).
	// For a connection that could not go to the engine and is served by a goroutine, which nothing is received ahead for, it
	// counts from when the connection goes there. 0: the engine's. Linux only.
	ReceiveBuffers int
	// WriteQueue bounds the bytes that wait to be sent to a connection (SetWriteQueueLimit). 0: the engine's
	// (proactor.Config.WriteQueue). Linux only.
	WriteQueue int

	stack *Stack
}

// check rejects bad values.
func (c ServeConfig) check() error {
	bad := func(field string, v any, remedy string) error {
		return fmt.Errorf("net: ServeConfig.%s is %v: %s", field, v, remedy)
	}
	switch {
	case c.MaxConns < 0:
		return bad("MaxConns", c.MaxConns, "use 1 or more, or 0 for no bound")
	case c.AcceptRate < 0 || c.AcceptRate != c.AcceptRate:
		return bad("AcceptRate", c.AcceptRate, "use more than 0 connections per second, or 0 for no bound")
	case c.AcceptBurst < 0 || c.AcceptBurst > 0 && c.AcceptRate == 0:
		return bad("AcceptBurst", c.AcceptBurst, "use 1 or more, together with AcceptRate")
	case c.FirstBytesTimeout < 0:
		return bad("FirstBytesTimeout", c.FirstBytesTimeout, "use more than 0, or 0 for no bound")
	case c.FirstBytes < 0 || c.FirstBytes > 0 && c.FirstBytesTimeout == 0:
		return bad("FirstBytes", c.FirstBytes, "use 1 or more, together with FirstBytesTimeout")
	case c.ReceiveBuffers < 0:
		return bad("ReceiveBuffers", c.ReceiveBuffers, "use 1 or more, or 0 for the engine's")
	case c.WriteQueue < 0:
		return bad("WriteQueue", c.WriteQueue, "use 1 or more bytes, or 0 for the engine's")
	case c.OnDrain != nil && c.Drain == 0:
		return errors.New("net: ServeConfig.OnDrain without Drain: set how long to wait for the handlers")
	}
	return nil
}

// Serve accepts connections on l and runs handler for each, as a coroutine of the engine. The connection is closed when
// its handler returns, panics or calls runtime.Goexit; a panic is logged with its stack and ends nothing else. See the
// package comment for what a handler must not do.
//
// On a *TCPListener or *UnixListener of this package the engine accepts, and spreads the connections over its workers;
// Accept must not be used meanwhile. From any other listener, connections that are the standard library's *net.TCPConn
// or *net.UnixConn are moved to the engine; handlers of all others run on goroutines.
//
// Serve blocks until l is closed, and then returns what Accept would: an *OpError with ErrClosed; or until the engine
// shuts down: one with proactor.ErrShutdown, and a listener that is not of this package is closed then. (On a listener that
// is not of the standard library either, the package-level functions learn that from the next connection that is to go to
// the engine.) It waits for handlers only as ServeConfig.Drain says. When descriptors run
// out it waits until there are some again.
func Serve(l Listener, handler func(Conn)) error { return ServeConfig{}.Serve(l, handler) }

// ServeContext is Serve that stops accepting when ctx ends, and then returns ctx's cause. A listener of this package
// stays open and can be used again; any other listener is closed, as its Accept can be ended by nothing else.
func ServeContext(ctx context.Context, l Listener, handler func(Conn)) error {
	return ServeConfig{}.ServeContext(ctx, l, handler)
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
	if err := c.check(); err != nil {
		return err
	}
	if c.stack == nil {
		c.stack = defaultStack
	}
	s := newServing(c, handler)
	await(func() {
		engine, served := s.onEngine(ctx, l)
		if err = engine; !served {
			err = s.accept(ctx, l)
		}
		err = s.drain(err)
	})
	return err
}

// accept accepts on a listener that the engine cannot serve.
func (s *serving) accept(ctx context.Context, l Listener) error {
	ctx, stopWatching := s.untilShutdown(ctx, l)
	defer stopWatching()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer func() {
		if ctx.Err() != nil {
			_ = l.Close() // it may have ended outside Accept, and the function not begun
		}
		stop()
	}()
	var pause time.Duration
	for {
		if err := s.room(ctx); err != nil {
			return err
		}
		conn, err := l.Accept()
		if err == nil {
			pause = 0
			s.begin(conn)
			continue
		}
		s.unused()
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

// tryAgain reports whether an error, of Accept or of a move to the engine, passes when descriptors or memory are free again.
func tryAgain(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// begin runs the handler of a connection that accept has accepted: on the engine if it can go there.
func (s *serving) begin(conn Conn) {
	if s.beginOnEngine(&conn) {
		return
	}
	v := s.track(conn)
	s.watchFirst(v, conn)
	go func() {
		defer s.done(v)
		defer conn.Close()
		defer func() {
			if p := recover(); p != nil {
				log.Printf("ouro: panic in a handler: %v\n%s", p, debug.Stack())
			}
		}()
		s.handler(conn)
	}()
}
