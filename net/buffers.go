//go:build linux

package net

import (
	"io"
	stdnet "net"
	"syscall"
)

// Buffers is a list of byte slices to be written together: as one writev(2) to a connection, which a datagram socket sends
// as one datagram, and one after the other to anything else.
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

// mostSlices is how many one writev(2) takes (IOV_MAX).
const mostSlices = 1024

// sendGrams sends the slices as datagrams, each of as many as one system call takes, and takes what was sent off the list.
// Where there is nothing to send, send only says whether it could: it is given no slices.
func (v *Buffers) sendGrams(send func(slices [][]byte) error) (sent int64, err error) {
	for {
		var slices [][]byte
		n := 0
		for _, b := range *v {
			if len(b) > 0 && len(slices) < mostSlices {
				slices = append(slices, b)
				n += len(b)
			}
		}
		if n == 0 && sent > 0 {
			return sent, nil
		}
		if err := send(slices); err != nil || n == 0 {
			return sent, err
		}
		sent += int64(n)
		for len(*v) > 0 && n >= len((*v)[0]) {
			n -= len((*v)[0])
			(*v)[0] = nil
			*v = (*v)[1:]
		}
	}
}

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
