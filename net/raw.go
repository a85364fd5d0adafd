//go:build linux

package net

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errRaw is why RawConn.Read and Write fail on the engine: with io_uring the socket is in blocking mode, so a system
// call of the caller's could stop its thread, and bytes may have been received already.
var errRaw = errors.New("connection is on the engine, which reads and writes it itself; use Read and Write, " +
	"or Control for calls that do not wait")

// SyscallConn gives access to the descriptor. Control works as in the standard library; its function must not wait, and
// must not change the descriptor's blocking mode. Read and Write work in runtime mode, and fail on a connection that is
// on the engine.
func (c *stream) SyscallConn() (syscall.RawConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	return (*rawConn)(c), nil
}

type rawConn stream

// Control calls f with the descriptor, which stays valid until f returns.
func (r *rawConn) Control(f func(fd uintptr)) error {
	c := (*stream)(r)
	return c.either(func(s stdStream) error { return rawOf(s).Control(f) },
		withFD(func(fd int) error { f(uintptr(fd)); return nil }),
		func(err error) error { return c.ownError("raw-control", err) })
}

// Read calls f whenever the socket may be readable, until f reports true.
func (r *rawConn) Read(f func(fd uintptr) bool) error {
	return r.transfer("raw-read", func(raw syscall.RawConn) error { return raw.Read(f) })
}

// Write calls f whenever the socket may be writable, until f reports true.
func (r *rawConn) Write(f func(fd uintptr) bool) error {
	return r.transfer("raw-write", func(raw syscall.RawConn) error { return raw.Write(f) })
}

// transfer keeps the connection in runtime mode meanwhile: what f has done so far could not go on elsewhere.
func (r *rawConn) transfer(op string, f func(syscall.RawConn) error) error {
	c := (*stream)(r)
	if c.pin() {
		defer c.unpin()
		return f(rawOf(c.rt.std))
	}
	if err := c.conn.Load().Control(func(int) error { return nil }); err != nil {
		return c.opError(op, err)
	}
	return c.opError(op, errRaw)
}

// rawOf returns the raw access to s, which is never nil and so always has one.
func rawOf(s stdStream) syscall.RawConn {
	raw, _ := s.SyscallConn()
	return raw
}

// pin keeps the connection in runtime mode until unpin. It reports false when it is on the engine.
func (c *stream) pin() bool {
	if c.engineConn() != nil {
		return false
	}
	c.rt.mu.Lock()
	switch c.rt.state {
	case stateMoving, stateEngine:
		c.rt.mu.Unlock()
		return c.pin()
	}
	c.rt.pinned++
	c.rt.mu.Unlock()
	return true
}

func (c *stream) unpin() {
	c.rt.mu.Lock()
	c.rt.pinned--
	c.rt.mu.Unlock()
}

// File returns a copy of the descriptor, which the caller closes. It shares the blocking mode with the connection, and
// that must not be changed: hand it to another process, or close the connection before using it.
func (c *stream) File() (f *os.File, err error) {
	err = c.either(
		func(s stdStream) (err error) { f, err = s.File(); return err },
		withFD(func(fd int) error {
			dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				return os.NewSyscallError("fcntl", err)
			}
			f = os.NewFile(uintptr(dup), c.network+":"+c.LocalAddr().String()+"->"+c.RemoteAddr().String())
			return nil
		}),
		func(err error) error { return c.opError("file", err) })
	return f, err
}
