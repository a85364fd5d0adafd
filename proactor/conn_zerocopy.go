//go:build linux

package proactor

import (
	"sync/atomic"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

// Writes without a copy. The network card reads the bytes from the caller's memory, and again for each retransmission, so
// the memory is in use for as long as the peer has not acknowledged them. A []byte belongs to its caller when Write returns;
// a lease is given away. So only WriteLease sends without a copy, and it returns when the bytes are on their way, like any
// Write; the lease is released when the kernel has let go of it.
//
//	WriteLease ──SendZC──▶ in flight ──More: the result──▶ WriteLease returns, or sends the rest
//	                          └──────terminal: the memory is free──▶ one reference less; the last releases the lease

// zeroCopyLease is a lease that a WriteLease and its operations hold together.
type zeroCopyLease struct {
	lease buffers.Lease
	refs  atomic.Int32
	off   bool // the kernel refused; the rest is copied. Conn.mu
}

func (z *zeroCopyLease) release() {
	if z.refs.Add(-1) == 0 {
		z.lease.Release()
	}
}

// zeroCopySend is one operation. It is the kernel's beyond the WriteLease, and beyond the connection.
type zeroCopySend struct {
	op    op.Op
	conn  *Conn
	lease *zeroCopyLease
	sent  bool
}

// SetZeroCopy has WriteLease send leases of at least from bytes without copying them, where the backend is io_uring and the
// socket can do it; 0, the default, never. It pays from some 16 KiB on with a real network card, and never over loopback,
// where the kernel copies in any case (Stats.ZeroCopyCopied tells); the memory stays in use until the peer has
// acknowledged the bytes.
func (c *Conn) SetZeroCopy(from int) {
	c.mu.Lock()
	c.zcFrom = int32(max(0, min(from, maxTransfer)))
	c.mu.Unlock()
}

// WriteLease sends the bytes of l like Write, and releases l: at once, or when the kernel has let go of the memory (see
// SetZeroCopy).
func (c *Conn) WriteLease(l buffers.Lease) error {
	if c.sharesMemory(l.Len()) {
		return c.writeZeroCopy(l)
	}
	_, err := c.Write(l.Bytes())
	l.Release()
	return err
}

// sharesMemory reports whether a lease of n bytes goes without a copy.
func (c *Conn) sharesMemory(n int) bool {
	if !c.loop.batches {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.zcFrom > 0 && n >= int(c.zcFrom)
}

//go:noinline
func (c *Conn) writeZeroCopy(l buffers.Lease) error {
	z := &zeroCopyLease{lease: l}
	z.refs.Store(1)
	defer z.release()
	c.mu.Lock()
	if err := c.takeTurn(noContext); err != nil {
		c.mu.Unlock()
		return err
	}
	c.beginWrite()
	c.out.zc, c.out.bytes = z, l.Bytes()
	w := c.armWrite()
	s, on := c.loop.w.Enter()
	if on {
		c.startSend()
	}
	c.mu.Unlock()
	if on {
		s.Leave()
	} else {
		c.kick()
	}
	w.Wait()
	c.mu.Lock()
	c.out.zc = nil
	c.mu.Unlock()
	_, err := c.endWrite(l.Len())
	return err
}

// startZeroCopy submits out. It reports false when it is to be copied. mu is held, the worker owned.
func (c *Conn) startZeroCopy() bool {
	if c.out.zc.off {
		return false
	}
	s := &zeroCopySend{conn: c, lease: c.out.zc}
	s.op = op.Op{Kind: op.SendZC, Done: s, FD: c.fd, Buf: c.out.bytes[:min(len(c.out.bytes), maxTransfer)]}
	s.lease.refs.Add(1)
	if c.loop.backend.Submit(&s.op) != nil {
		s.lease.release()
		return false // the copy meets the same error, and tells it
	}
	c.out.send, c.sendOn = &s.op, true
	return true
}

// zeroCopyRefused makes "again, and copy" of an error that means no more than that. mu is held.
func (c *Conn) zeroCopyRefused(r *op.Completion) {
	switch r.Errno {
	case syscall.EOPNOTSUPP, syscall.EINVAL:
		c.zcFrom = 0 // this socket, or this kernel
	case syscall.ENOMEM, syscall.ENOBUFS: // the limit of locked memory, or of the socket's
	default:
		return
	}
	if z := c.out.zc; z != nil {
		z.off = true
	}
	r.Errno = syscall.EINTR
}

// Complete is told by the backend, in loop state.
func (s *zeroCopySend) Complete(o *op.Op, r *op.Completion) {
	c, l := s.conn, s.conn.loop
	last := !r.More
	c.mu.Lock()
	switch {
	case c.sendOn && o == c.out.send: // the result
		if s.sent = r.Errno == 0 && r.More; s.sent {
			l.zeroCopied[0].Add(1)
		}
		c.onSend(r)
	case s.sent && last && r.Result == 1:
		l.zeroCopied[1].Add(1)
	}
	c.finish()
	c.mu.Unlock()
	if last {
		s.lease.release()
	}
}
