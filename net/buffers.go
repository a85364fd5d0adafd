//go:build linux

package net

import (
	"io"
	stdnet "net"
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

var (
	_ io.WriterTo = (*Buffers)(nil)
	_ io.Reader   = (*Buffers)(nil)
)
