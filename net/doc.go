// Package net is the drop-in for the standard library's package net: change the import line, and TCP connections run on
// the engine (io_uring, or epoll where that is not to be had).
//
//	l, err := net.Listen("tcp", ":8080")
//	…
//	err = net.Serve(l, func(c net.Conn) {
//		defer c.Close()
//		io.Copy(c, c)
//	})
//
// # Two kinds of caller, two modes
//
// The handlers of Serve are coroutines of the engine's workers: a Read or Write suspends the coroutine, and what woke it
// continues it without a trip through the Go scheduler. Their connections are on the engine ("engine mode"). A
// connection that ordinary goroutines got from Dial or Accept stays with the standard library and the runtime's poller
// ("runtime mode") wherever the way through the engine is no faster; such a connection moves to the engine when a
// coroutine first uses it. Nobody sees the difference: every connection may be used from goroutines and coroutines at
// the same time.
//
// # What a handler may do
//
// A handler may block on anything. What the engine does not know (a sync.Mutex, time.Sleep, a database call) holds its
// worker up for about proactor.Config.StallAfter; then the worker is handed over, and a handler that keeps doing so
// becomes an ordinary goroutine. Two things a coroutine must not do; use ServeConfig.Goroutines for handlers that need
// them:
//
//   - suspend (Read, Write …) after runtime.LockOSThread. The runtime stops the process: "OS thread locking must match".
//   - wait for a connection inside a callback from C, for the same reason.
//
// # Who may call, who owns the memory
//
// Everything is safe from any goroutine or coroutine, but not from the engine's own callbacks (proactor.Handler). Bytes
// belong to the caller, except those of a lease: ReadLease hands a buffer of the engine to the caller, who releases it;
// WriteLease takes one over. Nothing is allocated per Read, Write, ReadLease or WriteLease.
//
// # Errors
//
// Errors are those of the standard library, in type and in every field: *OpError, ErrClosed, os.ErrDeadlineExceeded,
// *os.SyscallError, a bare io.EOF. Types that do no I/O are aliases of the standard ones.
//
// # What it refuses
//
// IP sockets and Unix datagrams are the standard library's as they are. RawConn.Read and Write do not work on a UDP
// socket that is on the engine (see UDPConn.SyscallConn). Linux only; io_uring from kernel 6.1.
package net
