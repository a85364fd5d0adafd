//go:build linux

package proactor

import (
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

// Writes without a copy. The network card reads the bytes from the caller's memory, and again for each retransmission, so
// the memory is in use for as long as the peer has not acknowledged them. A []byte belongs to its caller when Write
// returns; a lease is given away. So only WriteLease, WriteLeases and Send go without a copy. WriteLease returns when the
// bytes are on their way, like any Write; the lease is released when the kernel has let go of it. (A Write, or Buffers of
// package net, that waited for that would wait for the peer's acknowledgement, which it may delay by 40 ms.)
//
//	WriteLease, Send ──SendZC, SendMsgZC──▶ in flight ──More: the result──▶ WriteLease returns, the queue of Send goes on; or the rest is sent
//	                                └──terminal: the memory is free──▶ one reference less; the last releases the lease
//
// Close. A descriptor that is closed leaves its data with the kernel, which sends it for as long as the peer takes nothing
// and is there; nobody could bound how long the memory is in use. So a closed connection whose memory is shared ends its
// side (shutdown(2)) and keeps the descriptor until the last notification, but no longer than lingerTime: then it resets
// the peer, which frees everything at once. A connection that is reset anyway does not wait.

// zeroCopyLease is a lease, or those of a WriteLeases, that a call and its operations hold together. They are released together:
// the kernel tells of an operation, not of its parts.
type zeroCopyLease struct {
	lease buffers.Lease
	more  []buffers.Lease // behind it
	rest  [][]byte        // what is to be sent behind out.bytes. Conn.mu
	refs  atomic.Int32
	off   bool // the kernel refused; the rest is copied. Conn.mu
}

func newZeroCopyLease(l buffers.Lease) *zeroCopyLease {
	z := &zeroCopyLease{lease: l}
	z.refs.Store(1)
	return z
}

func (z *zeroCopyLease) release() {
	if z.refs.Add(-1) == 0 {
		z.lease.Release()
		for _, l := range z.more {
			l.Release()
		}
	}
}

// zeroCopySend is one operation. It is the kernel's beyond the WriteLease, and beyond the connection.
type zeroCopySend struct {
	op    op.Op
	conn  *Conn
	lease *zeroCopyLease
	sent  bool
	hdr   unix.Msghdr // of a SendMsgZC
	iov   []unix.Iovec
}

// SetZeroCopy has WriteLease and Send send leases of at least from bytes without copying them, and WriteLeases leases of
// that many together, where the backend is io_uring and the socket can do it; 0, the default, never. It pays from some 16
// KiB on with a real network card, and never over loopback, where the kernel copies in any case (Stats.ZeroCopyCopied
// tells); the memory stays in use until the peer has acknowledged the bytes.
func (c *Conn) SetZeroCopy(from int) {
	c.mu.Lock()
	c.zcFrom = int32(max(0, min(from, maxTransfer)))
	c.mu.Unlock()
}

// WriteLease sends the bytes of l like Write, and releases l: at once, or when the kernel has let go of the memory (see
// SetZeroCopy).
func (c *Conn) WriteLease(l buffers.Lease) error {
	c.mu.Lock()
	shares := c.sharesMemory(l.Len())
	c.mu.Unlock()
	if shares {
		return c.writeLeaseShared(l)
	}
	_, err := c.Write(l.Bytes())
	l.Release()
	return err
}

// writeLeaseShared is a function of its own so that its needs are not on the stack of every idle handler.
//
//go:noinline
func (c *Conn) writeLeaseShared(l buffers.Lease) error {
	return c.writeShared(newZeroCopyLease(l), l.Bytes(), l.Len())
}

// sharesMemory reports whether a lease of n bytes goes without a copy. mu is held.
func (c *Conn) sharesMemory(n int) bool {
	return c.zcFrom > 0 && n >= int(c.zcFrom) && c.loop.batches
}

// writeShared sends bytes, of n in all, and what z has behind them, and lets go of z.
//
//go:noinline
func (c *Conn) writeShared(z *zeroCopyLease, bytes []byte, n int) error {
	defer z.release()
	c.mu.Lock()
	if err := c.takeTurn(noContext); err != nil {
		c.mu.Unlock()
		return err
	}
	c.beginWrite()
	c.out.zc, c.out.bytes = z, bytes
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
	_, err := c.endWrite(n)
	return err
}

// startZeroCopy submits out. It reports false when it is to be copied. mu is held, the worker owned.
func (c *Conn) startZeroCopy() bool {
	if c.out.zc.off {
		return false
	}
	s := &zeroCopySend{conn: c, lease: c.out.zc}
	s.op = op.Op{Kind: op.SendZC, Done: s, FD: c.fd}
	if len(s.lease.rest) > 0 {
		s.gather(c.out.bytes, s.lease.rest)
	} else {
		s.op.Buf = c.out.bytes[:min(len(c.out.bytes), maxTransfer)]
	}
	s.lease.refs.Add(1)
	if c.loop.backend.Submit(&s.op) != nil {
		s.lease.release()
		return false // the copy meets the same error, and tells it
	}
	c.out.send, c.sendOn = &s.op, true
	c.shared++
	return true
}

// awaitShared is the end of a closed connection as long as the kernel reads from memory that it shares. mu is held.
func (c *Conn) awaitShared() {
	if c.shutWrite {
		return
	}
	c.shutWrite = true
	c.loop.engine.system.Shutdown(int(c.fd), syscall.SHUT_WR)
	if c.waits().lingerAt == 0 {
		c.linger()
	}
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
	if last && c.shared > 0 {
		c.shared--
	}
	c.finish()
	c.mu.Unlock()
	if last {
		s.lease.release()
	}
}
