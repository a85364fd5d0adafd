// Package net is the drop-in for the standard library's package net: change the import line, and connections run on the
// engine (io_uring, or epoll where that is not to be had). It has all of package net's API, with the same signatures
// and the same behaviour; a test holds both against it.
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
// # More than package net
//
// ReadContext, WriteContext and AcceptContext end with a context; ReadLease, WriteLease and SendLease move buffers
// instead of copying; PauseRead and ResumeRead; SetWriteQueueLimit; Broadcast sends one buffer to many; Serve and
// ServeConfig run handlers as coroutines, bound floods and idle openers, and drain; On binds all of it to an engine.
//
// UDP has ServePacket, ReadBatch and WriteBatch with segmentation offload, and SetGRO: docs/datagrams.md. IP sockets are
// the standard library's.
//
// # When not
//
// A program with a few goroutines on a few connections gains nothing: its connections stay with the runtime's poller.
// The gain is in Serve.
//
// # What it needs, and what it refuses
//
// Linux; io_uring from kernel 6.1. On other systems everything is the standard library's, and Serve runs its handlers on
// goroutines; On and the methods of "More than package net" are not there. RawConn.Read fails where the engine has
// received bytes that were not read yet (see TCPConn.SyscallConn). docs/dropin.md lists the limits of a drop-in, with
// ways round.
package net
