//go:build linux

package net

import (
	"io"
	stdnet "net"
	"os"
	"syscall"
)

// withoutReadFrom and withoutWriteTo hide a method, so that io.Copy does not call it again.
type (
	withoutReadFrom struct{ hideReadFrom }
	withoutWriteTo  struct{ hideWriteTo }
	hideReadFrom    struct{ c *TCPConn }
	hideWriteTo     struct{ c *TCPConn }
)

func (h hideReadFrom) Write(p []byte) (int, error) { return h.c.Write(p) }
func (h hideWriteTo) Read(p []byte) (int, error)   { return h.c.Read(p) }

// ReadFrom writes to the connection what r gives, until its end. In runtime mode it is the standard library's, with
// splice(2) and sendfile(2); on the engine files go by sendfile(2), and what else there is is copied.
func (c *TCPConn) ReadFrom(r io.Reader) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if !onCoroutine() && c.pin() {
		defer c.unpin()
		source, unpin := standardReader(r)
		defer unpin()
		return c.rt.stdTCP().ReadFrom(source)
	}
	if c.onEngineNow() || c.conn.Load() != nil {
		pc := c.conn.Load()
		if n, handled, err := sendFile(pc, r); handled {
			return n, c.opError("readfrom", err)
		}
	}
	n, err := io.Copy(withoutReadFrom{hideReadFrom{c}}, r)
	if spliced(r) {
		err = asSpliced(err)
	}
	return n, c.opError("readfrom", err)
}

// spliced reports whether the standard library would splice from r.
func spliced(r io.Reader) bool {
	if l, ok := r.(*io.LimitedReader); ok {
		r = l.R
	}
	switch v := r.(type) {
	case *TCPConn, withoutWriteTo:
		return true
	case *UnixConn:
		return v.ok() && v.network == "unix"
	}
	return false
}

// asSpliced is err as it is where the standard library splices: without the operation of either end.
func asSpliced(err error) error {
	for {
		e, ok := err.(*OpError)
		if !ok {
			return named("splice", err)
		}
		err = e.Err
	}
}

// standardReader shows the standard library its own connection where r is one of ours in runtime mode, so that it can
// splice. The function returned is to be called afterwards.
func standardReader(r io.Reader) (io.Reader, func()) {
	none := func() {}
	switch v := r.(type) {
	case *io.LimitedReader:
		inner, unpin := standardReader(v.R)
		if inner == v.R {
			return r, none
		}
		// The standard library counts down what it was given; the caller looks at its own.
		limited := &io.LimitedReader{R: inner, N: v.N}
		return limited, func() { v.N = limited.N; unpin() }
	case *TCPConn:
		if v.ok() && v.pin() {
			return v.rt.std, v.unpin
		}
	case *UnixConn:
		if v.ok() && v.network == "unix" && v.pin() {
			v.untold()
			return v.rt.std, v.unpin
		}
	case withoutWriteTo:
		if v.c.pin() {
			return v.c.rt.std, v.c.unpin
		}
	case interface{ Std() *os.File }: // File of package file
		return v.Std(), none
	}
	return r, none
}

// WriteTo writes to w what arrives, until the end of the stream. On the engine the bytes are not copied on the way.
func (c *TCPConn) WriteTo(w io.Writer) (n int64, err error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if u, unpin := standardUnix(w); u != nil && !onCoroutine() && c.pin() {
		defer unpin()
		defer c.unpin()
		return c.rt.stdTCP().WriteTo(u)
	} else if unpin != nil {
		unpin()
	}
	if c.conn.Load() != nil {
		n, err = c.writeLeases(w)
		if to, ok := w.(*TCPConn); ok && to.ok() {
			err = to.opError("readfrom", asSpliced(err))
		}
	} else {
		n, err = io.Copy(w, withoutWriteTo{hideWriteTo{c}})
	}
	if to, ok := w.(*UnixConn); ok && to.ok() && to.network == "unix" {
		err = asSpliced(err)
	}
	return n, c.opError("writeto", err)
}

// standardUnix is standardReader for what the standard library splices to besides TCP. The function is nil where there is no
// socket.
func standardUnix(w io.Writer) (*stdnet.UnixConn, func()) {
	switch u := w.(type) {
	case *stdnet.UnixConn:
		return u, func() {}
	case *UnixConn:
		if u.ok() && u.network == "unix" && u.pin() {
			return u.rt.stdUnix(), u.unpin
		}
	}
	return nil, nil
}

func (c *TCPConn) writeLeases(w io.Writer) (int64, error) {
	var total int64
	var large bulk
	for {
		l, err := c.ReadLease()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		much := large.saw(l.Len())
		n, err := w.Write(l.Bytes())
		if err == nil && n < l.Len() {
			err = io.ErrShortWrite
		}
		l.Release()
		total += int64(n)
		if err != nil {
			return total, err
		}
		if to, ok := w.(*TCPConn); ok && much && to.conn.Load() != nil {
			n, handled, err := spliceTo(to.conn.Load(), c.conn.Load())
			if total += n; handled {
				return total, err
			}
			large = 0
		}
	}
}
