//go:build linux

package proactor

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// ErrClosed is returned by operations on what was closed, by either the caller or the engine's shutdown. It is
// net.ErrClosed, so errors.Is finds it under either name.
var ErrClosed = net.ErrClosed

// ErrWriteQueueFull is returned by Conn.Send when the peer reads too slowly and Config.WriteQueue bytes wait already.
var ErrWriteQueueFull = errors.New("write queue full: the peer reads more slowly than is sent; wait for it, or raise Config.WriteQueue")

// ErrBroken means that a worker's backend broke while it performed operations, so that nothing is known of them.
var ErrBroken = errors.New("the backend broke; what was in flight is unknown")

// ErrShutdown is returned for new work on an Engine that is shutting down.
var ErrShutdown = errors.New("engine is shut down")

// callError names the system call whose work the operation did, as package net's errors do.
func callError(call string, errno syscall.Errno) error { return os.NewSyscallError(call, errno) }

// named is err with call as the name of the system call. An error of the socket may have been found by another one before: by the
// receive that is always armed, or by a send of the backend's.
func named(call string, err error) error {
	if e, ok := err.(*os.SyscallError); ok {
		return os.NewSyscallError(call, e.Err)
	}
	return err
}
