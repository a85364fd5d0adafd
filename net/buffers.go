//go:build linux

package net

import (
	"io"
	stdnet "net"
	"syscall"
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
	all := *v
	m, err := c.conn.Load().WriteSlices((*[][]byte)(v))
	if m == 0 && err == nil {
		*v = all // nothing but empty ones, which the standard library leaves there
	}
	return n + m, c.opError("writev", err)
}

var (
	_ io.WriterTo = (*Buffers)(nil)
	_ io.Reader   = (*Buffers)(nil)
)
