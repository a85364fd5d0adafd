//go:build linux

package simkernel

import (
	"encoding/binary"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// A request is an operation as the kernel sees it. It lives from Submit until its last completion is posted; the op.Op
// that it came from stays in the backend's table until that completion is delivered.
type request struct {
	b         *Backend
	ref       op.Ref
	kind      op.Kind
	fd        int
	file      *file // nil until it was started, and when fd was not open
	buf       []byte
	events    uint32
	off       int64
	msg       *unix.Msghdr
	memory    [][]byte // of a transfer of a disk file, of a message, and of a send without a copy
	lent      [][]byte // what it held, as long as it is the kernel's and watched
	loan      *loan    // of a send without a copy, else nil
	done      int      // bytes that a send has moved
	cancelled bool     // a cancel is on its way
	misses    int      // times that it came too late
	watched   bool     // its file counts it as in flight
}

// unwatch takes r off its file's count.
func (r *request) unwatch() {
	if r.watched {
		r.watched = false
		r.file.inFlight--
	}
}

// cqe is an entry of the completion queue.
type cqe struct {
	ref  op.Ref
	res  int32 // a negative errno, or the result
	more bool
	buf  int // id of the buffer, -1 for none
}

// start shows the kernel what was submitted. mu is held.
func (b *Backend) start() {
	if len(b.fresh) > 0 {
		b.letGo() // submitting takes the lock under which io_uring ends operations
	}
	for _, r := range b.fresh {
		if f := b.k.files[r.fd]; f != nil && r.kind != op.Nop {
			r.file = f
			f.refs++
			if r.watched = b.broken == nil; r.watched {
				f.inFlight++
			}
		}
		switch {
		case r.file == nil || !b.k.cfg.Watch:
		case r.file.disk != nil:
			r.lend()
		case r.file.gram != nil && r.msg != nil:
			r.lendMessage()
		}
		b.requests = append(b.requests, r)
	}
	b.fresh = b.fresh[:0]
}

// letGo gives back the references of operations that have ended. io_uring posts a completion first: until then the
// program may have seen it. mu is held.
func (b *Backend) letGo() {
	for _, f := range b.held {
		f.lags--
		f.drop()
	}
	b.held = b.held[:0]
}

// can reports whether something can happen to r.
func (r *request) can() bool { return r.cancelled || r.ready() }

// ready reports whether r can complete by itself.
func (r *request) ready() bool {
	switch {
	case r.file != nil && r.file.gram != nil:
		return r.readyOn(r.file.gram)
	case r.file == nil || r.file.socket == nil:
		return true
	}
	s := r.file.socket
	switch r.kind {
	case op.Accept:
		return s.state != listening || len(s.queue) > 0
	case op.Recv, op.RecvInto:
		return s.readable()
	case op.Send, op.SendZC, op.SendMsgZC:
		return s.writable()
	case op.Connect:
		l, errno := r.target()
		return s.state != fresh || errno != 0 || !l.full()
	case op.Poll:
		return s.events()&(r.events|unix.EPOLLHUP|unix.EPOLLERR) != 0
	}
	return true
}

// advance has something happen to r, which can. mu is held.
func (b *Backend) advance(r *request) {
	k := b.k
	switch {
	case r.kind == op.Nop && !r.cancelled:
		r.finish(0)
	case r.kind == op.Nop:
		r.finish(-int32(syscall.ECANCELED))
	case r.file == nil:
		r.finish(-int32(syscall.EBADF))
	case r.file.disk != nil && r.kind.OnFile():
		b.onDisk(r)
	case r.file.gram != nil:
		b.onGram(r)
	case r.file.socket == nil:
		r.finish(-int32(syscall.ENOTSOCK))
	case r.cancelled && !r.escapes():
		k.tally.add("cancel finds its operation (0)")
		r.finish(r.partial(syscall.ECANCELED))
	case !r.ready():
		// The cancel came too late for something that has not happened yet.
	case k.fault("EINTR", k.cfg.Faults.Interrupt):
		r.finish(r.partial(syscall.EINTR))
	case k.fault("ECANCELED that nobody asked for", k.cfg.Faults.Orphan):
		r.finish(r.partial(syscall.ECANCELED))
	case k.fault("error of an operation", k.cfg.Faults.Fail):
		r.fail()
	default:
		r.perform()
	}
}

// maxMisses is how often a cancel comes too late for the same operation.
const maxMisses = 3

// escapes decides whether the cancel of r comes too late for now (EALREADY), so that it may succeed first.
func (r *request) escapes() bool {
	if r.misses >= maxMisses || !r.b.k.fault("cancel comes too late (EALREADY)", r.b.k.cfg.Faults.Late) {
		return false
	}
	r.misses++
	return true
}

// failures are the other errors that the operations may return, by their man pages.
var failures = map[op.Kind][]syscall.Errno{
	op.Accept:   {syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM, syscall.ENETDOWN, syscall.EHOSTUNREACH, syscall.ENOPROTOOPT},
	op.Connect:  {syscall.ECONNREFUSED, syscall.ETIMEDOUT, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL},
	op.Recv:     {syscall.ECONNRESET, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENOMEM},
	op.RecvInto: {syscall.ECONNRESET, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENOMEM},
	op.Send:     {syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENOBUFS, syscall.ENOMEM},
	op.SendZC:   {syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT, syscall.EHOSTUNREACH},
	op.Poll:     {syscall.ENOMEM},
	op.Read:     {syscall.EIO, syscall.ENOMEM},
	op.Readv:    {syscall.EIO, syscall.ENOMEM},
	op.Write:    {syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG},
	op.Writev:   {syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG},
	op.Fsync:    {syscall.EIO, syscall.ENOSPC, syscall.EDQUOT},

	op.SendMsgZC:   {syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT, syscall.EHOSTUNREACH},
	op.RecvMsg:     {syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.ENOMEM},
	op.RecvMsgInto: {syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.ENOMEM},
	op.SendMsg:     {syscall.EPERM, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENOBUFS, syscall.ENOMEM},
}

// fail ends r with an error that is nobody's doing.
func (r *request) fail() {
	r.disturb()
	all := failures[r.kind]
	r.finish(r.partial(all[r.b.k.choose(len(all))]))
}

func (r *request) disturb() {
	s := r.file.socket
	s.disturbed = true
	if s.peer != nil {
		s.peer.disturbed = true
	}
}

// partial is the result of an operation that ends with errno: what it has moved counts more.
func (r *request) partial(errno syscall.Errno) int32 {
	if r.done > 0 {
		return int32(r.done)
	}
	return -int32(errno)
}

func (r *request) perform() {
	s, k := r.file.socket, r.b.k
	switch r.kind {
	case op.Accept:
		r.accept(s)
	case op.Recv:
		r.recv(s)
	case op.RecvInto:
		n, errno := s.recv(r.buf)
		r.finish(result(n, errno))
	case op.Send:
		n, errno := s.send(r.buf[r.done:])
		r.moved(n, errno, len(r.buf))
	case op.SendZC, op.SendMsgZC:
		r.sendShared(s)
	case op.Connect:
		r.connect(s)
	case op.Poll:
		r.finish(int32(s.events() & (r.events | unix.EPOLLHUP | unix.EPOLLERR)))
	default:
		k.violate("a request of kind %v", r.kind)
	}
}

func result(n int, errno syscall.Errno) int32 {
	if errno != 0 {
		return -int32(errno)
	}
	return int32(n)
}

// shortages are what accept fails with when the process or the system lacks something.
var shortages = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}

func (r *request) accept(s *socket) {
	k := r.b.k
	if s.state == listening && k.fault("accept lacks something", k.cfg.Faults.Refuse) {
		r.finish(-int32(shortages[k.choose(len(shortages))]))
		return
	}
	if s.state == listening && k.fault("accept meets a broken connection", k.cfg.Faults.Refuse) {
		all := failures[op.Accept]
		r.finish(-int32(all[k.choose(len(all))]))
		return
	}
	fd, errno := k.take(s, true)
	if errno != 0 {
		r.finish(-int32(errno))
		return
	}
	r.post(int32(fd), -1, true)
}

func (r *request) recv(s *socket) {
	k := r.b.k
	if len(s.in) == 0 {
		n, errno := s.recv(nil)
		r.finish(result(n, errno))
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
	n, _ := s.recv(mem)
	r.post(int32(n), id, true)
}

// moved takes in that n of want bytes of a send were taken. It goes on until all are, as with MSG_WAITALL.
func (r *request) moved(n int, errno syscall.Errno, want int) {
	r.done += n
	switch {
	case errno != 0:
		r.finish(r.partial(errno))
	case r.done == want:
		r.finish(int32(r.done))
	case r.b.k.fault("short send", r.b.k.cfg.Faults.Short):
		r.finish(int32(r.done))
	}
}

// target is the listener that a connect goes to.
func (r *request) target() (*socket, syscall.Errno) {
	if len(r.buf) < unix.SizeofSockaddrInet4 {
		return nil, syscall.EINVAL
	}
	l := r.b.k.listeners[binary.BigEndian.Uint16(r.buf[2:])]
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	return l, 0
}

func (r *request) connect(s *socket) {
	l, errno := r.target()
	switch {
	case errno != 0:
	case s.state != fresh:
		errno = syscall.EISCONN
	default:
		s.join(l)
	}
	r.finish(-int32(errno))
}

// buffer takes the next receive buffer.
func (b *Backend) buffer() ([]byte, int, bool) {
	if b.ring != nil {
		return b.ring.take()
	}
	mem, id, ok := b.group.Take()
	return mem, int(id), ok
}

// finish posts the last completion of r, but for the notification of a send without a copy.
func (r *request) finish(res int32) {
	if r.loan != nil && res >= 0 {
		r.sent(res)
		return
	}
	r.post(res, -1, false)
}

// post posts a completion of r, which ends where the queue is full or chance will have it.
func (r *request) post(res int32, buf int, more bool) {
	r.unchanged()
	b := r.b
	k := b.k
	if more && k.fault("multishot ends without F_MORE", k.cfg.Faults.End) {
		more = false
	}
	more = more && !b.full()
	b.enqueue(cqe{ref: r.ref, res: res, more: more, buf: buf})
	if more {
		return
	}
	r.end()
	b.mayHaunt(r.ref)
}

// full reports whether the completion queue is.
func (b *Backend) full() bool { return len(b.cq) >= b.cfg.CQEntries || len(b.overflow) > 0 }

// enqueue posts c, or keeps it back for want of room.
func (b *Backend) enqueue(c cqe) {
	if !b.full() {
		b.cq = append(b.cq, c)
		return
	}
	b.k.tally.add("completion queue overflow")
	b.overflows.Add(1)
	b.overflow = append(b.overflow, c)
}

// end takes r out of the kernel.
func (r *request) end() {
	b := r.b
	b.requests = slices.DeleteFunc(b.requests, func(x *request) bool { return x == r })
	if r.file != nil {
		r.unwatch()
		b.held = append(b.held, r.file)
		if r.file.lags++; b.ring == nil || b.broken != nil {
			b.letGo() // a reactor holds no references, and what has broken is nobody's to wait for
		}
	}
}

// mayHaunt keeps the identity of an operation that has ended.
func (b *Backend) mayHaunt(ref op.Ref) {
	if len(b.ghosts) < 8 {
		b.ghosts = append(b.ghosts, ref)
	}
}
