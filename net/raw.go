//go:build linux

package net

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// SyscallConn gives access to the descriptor, as the standard library's does. The functions given must not wait, and must
// not change the descriptor's blocking mode.
//
// On the engine, bytes that arrive are received before anybody asks for them, and what the engine has received already
// is no longer to be found in the socket. RawConn.Read fails with proactor.ErrReadAhead then, instead of letting its
// caller skip these bytes: Read them first. From the first RawConn.Read on the engine receives nothing ahead any more.
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
	c := (*stream)(r)
	c.untold()
	if c.pin() {
		defer c.unpin()
		return rawOf(c.rt.std).Read(f)
	}
	pc := c.conn.Load()
	pc.NoReadAhead()
	return c.opError("raw-read", pc.ReadWith(func(fd int) bool { return f(uintptr(fd)) }))
}

// Write calls f whenever the socket may be writable, until f reports true.
func (r *rawConn) Write(f func(fd uintptr) bool) error {
	c := (*stream)(r)
	if c.pin() {
		defer c.unpin()
		return rawOf(c.rt.std).Write(f)
	}
	return c.opError("raw-write", c.conn.Load().WriteWith(func(fd int) bool { return f(uintptr(fd)) }))
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

// File returns a copy of the descriptor, which the caller closes. As in the standard library it shares the blocking mode,
// non-blocking, with the connection.
func (c *stream) File() (f *os.File, err error) {
	if c.ok() {
		c.untold()
	}
	err = c.either(
		func(s stdStream) (err error) { f, err = s.File(); return err },
		withFD(func(fd int) error {
			dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				return os.NewSyscallError("fcntl", err)
			}
			name := c.network + ":" + c.LocalAddr().String() + "->"
			if a := c.RemoteAddr(); a != nil {
				name += a.String()
			}
			f = os.NewFile(uintptr(dup), name)
			return nil
		}),
		func(err error) error { return c.opError("file", err) })
	return f, err
}
