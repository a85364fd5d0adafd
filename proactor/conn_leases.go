//go:build linux

package proactor

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

// Several pieces of memory as one Write. What the caller's own system calls send is WriteSlices; what the kernel reads
// without a copy is one SendMsgZC after the other. out.bytes is the piece that is being sent then, and what stands behind it
// is in out.zc.rest. So a kernel that refuses in the middle changes nothing but the kind: the pieces that are left go as
// ordinary sends, one by one.

// mostSlices is how many one system call takes (IOV_MAX).
const mostSlices = 1024

// WriteLeases sends the bytes of ls, one after the other, like one Write, and releases all of them: when they are with the
// kernel, or when it has let go of the memory of the last (see SetZeroCopy, for which their lengths are added up). It keeps
// nothing of ls itself. Errors name writev, as those of WriteSlices do, in whichever way the bytes went.
func (c *Conn) WriteLeases(ls ...buffers.Lease) error {
	z, n := &zeroCopyLease{more: slices.Clone(ls)}, 0
	z.refs.Store(1)
	for _, l := range ls {
		if l.Len() > 0 {
			z.rest = append(z.rest, l.Bytes())
			n += l.Len()
		}
	}
	c.mu.Lock()
	shares := c.sharesMemory(n)
	c.mu.Unlock()
	if !shares && c.loop.engine.direct || n == 0 {
		defer z.release()
		_, err := c.WriteSlices(&z.rest)
		return err
	}
	z.off = !shares
	first := z.rest[0]
	z.rest = z.rest[1:]
	return named("writev", c.writeShared(z, first, n))
}

// WriteSlices sends what v lists, one after the other, like one Write, and takes off v what was sent. It returns how many bytes
// that were. Each attempt is a system call of the caller's, sendmsg(2); errors name it writev, as the standard library does.
func (c *Conn) WriteSlices(v *[][]byte) (sent int64, err error) {
	var failed error
	err = c.WriteWith(func(fd int) bool {
		for {
			trim(v, 0)
			if len(*v) == 0 {
				return true
			}
			n, err := unix.SendmsgBuffers(fd, (*v)[:min(len(*v), mostSlices)], nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			switch err {
			case nil:
				sent += int64(n)
				trim(v, n)
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
	return sent, named("writev", err)
}

// trim takes n bytes off v, and empty slices at its beginning.
func trim(v *[][]byte, n int) {
	for len(*v) > 0 && n >= len((*v)[0]) {
		n -= len((*v)[0])
		(*v)[0] = nil
		*v = (*v)[1:]
	}
	if n > 0 {
		(*v)[0] = (*v)[0][n:]
	}
}

// advance takes n bytes off what is to be sent, over the borders of the pieces.
func (o *outgoing) advance(n int) {
	o.sent += n
	for n >= len(o.bytes) && len(o.zc.rest) > 0 {
		n -= len(o.bytes)
		o.bytes, o.zc.rest = o.zc.rest[0], o.zc.rest[1:]
	}
	o.bytes = o.bytes[n:]
}

// gather makes s a SendMsgZC of first and as much of rest as one operation takes.
func (s *zeroCopySend) gather(first []byte, rest [][]byte) {
	s.iov = make([]unix.Iovec, 0, min(1+len(rest), mostSlices))
	left := maxTransfer
	for p := first; ; p, rest = rest[0], rest[1:] {
		p = p[:min(len(p), left)]
		v := unix.Iovec{Base: &p[0]}
		v.SetLen(len(p))
		s.iov = append(s.iov, v)
		if left -= len(p); left == 0 || len(rest) == 0 || len(s.iov) == mostSlices {
			break
		}
	}
	s.hdr.Iov = &s.iov[0]
	s.hdr.SetIovlen(len(s.iov))
	s.op.Kind = op.SendMsgZC
	s.op.SetMsg(&s.hdr)
}
