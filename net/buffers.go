//go:build linux

package net

import (
	"io"
	stdnet "net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Buffers is a list of byte slices to be written together: as one writev(2) to a connection, and one after the other to
// anything else.
type Buffers [][]byte

// buffersWriter is a connection that can write several slices at once. What it has written is taken off the list.
type buffersWriter interface {
	writeBuffers(*Buffers) (int64, error)
}

// WriteTo writes the slices to w and takes what was written off the list.
func (v *Buffers) WriteTo(w io.Writer) (n int64, err error) {
	if bw, ok := w.(buffersWriter); ok {
		return bw.writeBuffers(v)
	}
	return (*stdnet.Buffers)(v).WriteTo(w)
}

// Read reads from the list and takes what was read off it. At its end it returns io.EOF.
func (v *Buffers) Read(p []byte) (n int, err error) { return (*stdnet.Buffers)(v).Read(p) }

// mostSlices is how many one system call takes (IOV_MAX).
const mostSlices = 1024

// writeBuffers is Buffers.WriteTo to a connection. Errors are those of the standard library's writev.
func (c *stream) writeBuffers(v *Buffers) (n int64, err error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if !c.onEngineNow() && c.engineConn() == nil {
		n, err = (*stdnet.Buffers)(v).WriteTo(c.rt.std)
		if err == nil || !c.thrownOut(err) {
			return n, err
		}
	}
	m, err := c.gather(v)
	return n + m, c.opError("writev", err)
}

// gather writes the list on the engine.
func (c *stream) gather(v *Buffers) (sent int64, err error) {
	var failed error
	err = c.conn.Load().WriteWith(func(fd int) bool {
		for {
			v.trim(0)
			if len(*v) == 0 {
				return true
			}
			n, err := unix.SendmsgBuffers(fd, (*v)[:min(len(*v), mostSlices)], nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			switch err {
			case nil:
				sent += int64(n)
				v.trim(n)
			case unix.EINTR:
			case unix.EAGAIN:
				return false
			default:
				failed = os.NewSyscallError("writev", err)
				return true
			}
		}
	})
	if err == nil {
		err = failed
	}
	return sent, err
}

// trim takes n bytes off the list, and empty slices at its beginning.
func (v *Buffers) trim(n int) {
	for len(*v) > 0 && n >= len((*v)[0]) {
		n -= len((*v)[0])
		(*v)[0] = nil
		*v = (*v)[1:]
	}
	if n > 0 {
		(*v)[0] = (*v)[0][n:]
	}
}

var (
	_ io.WriterTo = (*Buffers)(nil)
	_ io.Reader   = (*Buffers)(nil)
)
