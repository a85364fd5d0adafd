//go:build linux

package simkernel

import (
	"bytes"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/op"
)

// onMessages reports whether operations of the kind are for datagrams.
func onMessages(k op.Kind) bool { return k >= op.RecvMsg && k <= op.SendMsg }

// readyOn reports whether r can complete by itself on s.
func (r *request) readyOn(s *gram) bool {
	switch r.kind {
	case op.RecvMsg, op.RecvMsgInto:
		return s.readable()
	case op.SendMsg:
		return s.writable()
	case op.Poll:
		return s.events()&(r.events|unix.EPOLLHUP|unix.EPOLLERR) != 0
	}
	return true
}

// lendMessage notes what the memory of r looks like when the kernel is given it.
func (r *request) lendMessage() {
	if r.kind == op.RecvMsg {
		return // its lengths alone count
	}
	r.memory = pieces(r.msg)
	if r.kind == op.SendMsg {
		r.memory = append(r.memory, nameOf(r.msg), controlOf(r.msg))
	}
	for _, p := range r.memory {
		if r.kind == op.RecvMsgInto {
			for i := range p {
				p[i] = untouched
			}
		}
		r.lent = append(r.lent, bytes.Clone(p))
	}
}

// onGram has something happen to r, an operation on a datagram socket. mu is held.
func (b *Backend) onGram(r *request) {
	k, s := b.k, r.file.gram
	switch {
	case !onMessages(r.kind) && r.kind != op.Poll:
		r.finish(-int32(syscall.EOPNOTSUPP))
	case r.cancelled && !r.escapes():
		k.tally.add("cancel finds its operation (0)")
		r.finish(-int32(syscall.ECANCELED))
	case !r.readyOn(s):
		// The cancel came too late for something that has not happened yet.
	case k.fault("EINTR", k.cfg.Faults.Interrupt):
		r.finish(-int32(syscall.EINTR))
	case k.fault("ECANCELED that nobody asked for", k.cfg.Faults.Orphan):
		r.finish(-int32(syscall.ECANCELED))
	case k.fault("error of an operation", k.cfg.Faults.Fail):
		all := failures[r.kind]
		r.finish(-int32(s.errno(all[k.choose(len(all))])))
	case r.kind == op.Poll:
		r.finish(int32(s.events() & (r.events | unix.EPOLLHUP | unix.EPOLLERR)))
	case r.kind == op.RecvMsg:
		r.recvMsg(s)
	case r.kind == op.RecvMsgInto:
		r.unchanged()
		n, errno := s.recv(r.msg)
		r.finish(result(n, s.errno(errno)))
	default:
		r.unchanged()
		n, errno := s.send(r.msg)
		r.finish(result(n, s.errno(errno)))
	}
}

// recvMsg lays out one message in a buffer, as io_uring does.
func (r *request) recvMsg(s *gram) {
	k := r.b.k
	if s.err != 0 {
		r.finish(-int32(s.errno(s.told())))
		return
	}
	if k.fault("ENOBUFS without need", k.cfg.Faults.Starve) {
		r.finish(-int32(syscall.ENOBUFS))
		return
	}
	mem, id, ok := r.b.buffer()
	if !ok {
		k.tally.add("ENOBUFS")
		r.finish(-int32(syscall.ENOBUFS))
		return
	}
	name, control := int(r.msg.Namelen), int(r.msg.Controllen)
	front := op.MsgHeadBytes + name + control
	if len(mem) < front {
		r.post(-int32(s.errno(syscall.EFAULT)), id, false) // the buffer goes back
		return
	}
	t := s.take(len(mem) - front)
	head := op.MsgHead{Payload: uint32(len(t.payload)), Flags: uint32(t.flags)}
	head.Name = uint32(s.putName(mem[op.MsgHeadBytes:][:name], t.from))
	c := joinedControl(t.joined)
	if copy(mem[op.MsgHeadBytes+name:front], c) < len(c) {
		c, head.Flags = nil, head.Flags|unix.MSG_CTRUNC
	}
	head.Control = uint32(len(c))
	head.Put(mem)
	copy(mem[front:], t.payload)
	r.post(int32(front+len(t.payload)), id, true)
}

// SendMsgs implements op.Datagrams.
func (k *Kernel) SendMsgs(fd int, ms []dgram.Msg) (int, syscall.Errno) {
	return k.onGramSocket(fd, func(s *gram) (int, syscall.Errno) {
		for i := range ms {
			errno := k.direct(s, "direct send does not take it")
			if errno == 0 {
				var n int
				n, errno = s.send(&ms[i].Hdr)
				ms[i].N = uint32(n)
			}
			switch {
			case errno != 0 && i > 0:
				return i, 0 // the error is for the next call to find, or not
			case errno != 0:
				return 0, s.errno(errno)
			}
		}
		return len(ms), 0
	})
}

// direct decides whether a direct call on s fails for no reason of the program's.
func (k *Kernel) direct(s *gram, wait string) syscall.Errno {
	switch {
	case k.fault(wait, k.cfg.Faults.Wait):
		return syscall.EAGAIN
	case k.fault("error of an operation", k.cfg.Faults.Fail):
		all := failures[op.SendMsg]
		return all[k.choose(len(all))]
	}
	return 0
}

// RecvMsg implements op.Datagrams.
func (k *Kernel) RecvMsg(fd int, h *unix.Msghdr) (int, syscall.Errno) {
	return k.onGramSocket(fd, func(s *gram) (int, syscall.Errno) {
		n, errno := s.recv(h)
		return n, s.errno(errno)
	})
}

// onGramSocket makes a system call on the datagram socket fd.
func (k *Kernel) onGramSocket(fd int, call func(*gram) (int, syscall.Errno)) (int, syscall.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch f := k.files[fd]; {
	case f == nil:
		k.violate("a system call on descriptor %d, which is not open", fd)
		return 0, syscall.EBADF
	case f.gram == nil:
		return 0, syscall.EOPNOTSUPP
	default:
		return call(f.gram)
	}
}

var _ op.Datagrams = (*Kernel)(nil)
