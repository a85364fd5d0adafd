// Package proactor is the engine: it drives connections on io_uring or on the epoll reactor, one backend per
// worker, and hands completions to coroutines, to ordinary goroutines, or to callbacks.
//
// An Engine owns an executor (package executor) and one loop per worker: a backend with the connections bound to
// it. A Conn stays with its loop for life, since operations in flight cannot move; the code that serves it may run
// anywhere. Two faces:
//
//   - Read, Write and their relatives block the caller: a coroutine is suspended, a goroutine parks. This is what
//     package net builds on.
//   - Handler has callbacks and keeps no stack per connection. Nothing waits there, so a peer that reads slowly fills the queue of
//     Conn.Send; Handler.OnBacklog says when to pause reading, and when to go on.
//
// Everything exported is safe from any goroutine, unless it says otherwise. Errors are bare: io.EOF, ErrClosed,
// os.ErrDeadlineExceeded, or an *os.SyscallError; package net wraps them as the standard library does.
//
// Memory: bytes received lie in the loop's provided buffers until they are read; a lease moves one to the caller, who
// must release it. What an operation in flight points to belongs to the kernel until its terminal completion.
// Linux only; with io_uring from kernel 6.1, on older ones or where it is blocked on epoll (Engine.Info says why).
package proactor
