// Package reactorfallback performs the engine's operations on readiness, with epoll, where io_uring cannot be had.
//
// Who may call: a Reactor belongs to one worker. Submit, Cancel, Poll, Forget and Close are for the goroutine that
// runs this worker at the moment; Wake, Stats and InFlight are safe from any goroutine.
//
// Who owns what: the Reactor owns its epoll set, its eventfd and its buffer group, and releases them in Close.
// Descriptors that it operates on belong to the caller, must be non-blocking (FileFlags) and must stay open until the
// operations on them have ended. A descriptor that an Accept delivers belongs to who is told of it.
//
// What is guaranteed: the contract of package op. Each accepted operation ends exactly once, inside a Poll after the
// Submit. Operations in one direction of a descriptor end in the order of their submission. One Poll delivers at most
// Config.Burst completions of one descriptor's readers, so that a busy peer cannot starve the others. Nothing is
// allocated in steady state.
//
// How it differs from io_uring, within the contract: Send and Connect are tried inside Submit; operations of one
// direction queue behind each other, where io_uring would start them all; a descriptor that epoll cannot watch (a
// regular file) is always ready.
//
// Kernel: any that Go supports. epoll_pwait2 (Linux 5.11) is used where present, else waits are rounded up to
// milliseconds.
//
// Operations on files, where readiness means nothing, are ordinary system calls on at most Config.FileThreads
// goroutines.
//
// What it refuses: blocking descriptors are not detected, they would stop the worker (but for those of files).
//
// # As a reactor of one's own
//
// Loop is the same reactor for user code: it watches descriptors that the caller owns and calls a handler when one is
// ready, level-triggered, on one goroutine. Choose it for descriptors that are not sockets of package net (a serial line,
// inotify, a socket of another library) and for protocols that are callbacks by nature; for connections Serve of package net
// is simpler and, on io_uring, cheaper.
package reactorfallback
