//go:build linux

// Package netpark parks a goroutine on a descriptor in the Go runtime's own poller.
//
// A worker that blocks inside a system call keeps its P until the runtime takes it away, so a worker that has been
// idle for a while waits here instead: the P is free at once, nothing polls, and no thread is held.
// Only one goroutine at a time may wait. A Parker keeps a duplicate of the descriptor.
package netpark

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Parker parks a goroutine until a descriptor is readable.
type Parker struct {
	file  *os.File
	conn  syscall.RawConn
	ready func() bool
	check func(uintptr) bool // made once: a closure per wait would allocate
	timed bool
}

// New makes a Parker for fd. ready reports whether there is something to do; Wait returns once it does.
func New(fd int, name string, ready func() bool) (*Parker, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	// The runtime polls only descriptors that are non-blocking. The flag is shared with fd itself, where it
	// changes nothing: neither a ring nor an epoll set is read with read(2).
	if err := unix.SetNonblock(dup, true); err != nil {
		unix.Close(dup)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &Parker{file: os.NewFile(uintptr(dup), name), ready: ready}
	if p.conn, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, err
	}
	// A file that the runtime cannot poll refuses deadlines; without polling Wait would spin.
	if err := p.file.SetReadDeadline(time.Time{}); err != nil {
		p.file.Close()
		return nil, err
	}
	p.check = func(uintptr) bool { return p.ready() }
	return p, nil
}

// Wait parks until ready reports true, or until timeout has passed when it is > 0. It reports false on time-out.
func (p *Parker) Wait(timeout time.Duration) (bool, error) {
	if timeout > 0 {
		p.timed = true
		if err := p.file.SetReadDeadline(time.Now().Add(timeout)); err != nil {
			return false, err
		}
	} else if p.timed {
		p.timed = false
		if err := p.file.SetReadDeadline(time.Time{}); err != nil {
			return false, err
		}
	}
	err := p.conn.Read(p.check)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false, nil
	}
	return err == nil, err
}

// Close releases the duplicate.
func (p *Parker) Close() error { return p.file.Close() }
