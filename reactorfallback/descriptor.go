//go:build linux

package reactorfallback

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

// A file is what the reactor knows of one descriptor number.
//
// The set is edge-triggered, so the kernel tells of each change once and the file remembers it in ready until a call
// fails with EAGAIN. This memory is true only as long as the number means the same open file. close(2) removes the
// registration without a word and the number is given out again, so the reactor relies on a rule of the contract
// instead: a descriptor is not closed while operations are in flight on it. Hence
//
//   - while users > 0 the number means one open file; watched says that its registration was confirmed since users
//     was last 0, and only then do ready and the events count;
//   - the first operation that has to wait after users was 0 confirms it (watch): EPOLL_CTL_MOD, or ADD when the
//     kernel knows no registration. Either looks at the file's state again and reports what holds already, so no
//     edge of the time between is missed;
//   - each confirmation takes a new generation, which travels in the event. What was reported under an older one is
//     dropped: the tail of a batch after a close, or another process's duplicate of a file that was closed here.
type file struct {
	in, out, polls taskQueue     // operations that wait for readable, for writable, and Polls
	level          *Registration // whose handler gets the events, level-triggered; then there are no operations

	nextHot *file
	fd      int32
	gen     uint32
	ready   uint32 // EPOLLIN, EPOLLOUT, and rush
	asked   uint32 // events asked for in the registration besides interest
	users   int32  // operations in flight, also those that only wait for their delivery

	registered bool // the kernel has, or had, a registration under this number
	watched    bool
	hot        bool  // in Reactor.hot
	unsent     bool  // in Reactor.unsent
	burst      uint8 // how many messages the next recvmmsg asks for, less one
	drains     drains
}

const (
	interest = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET

	// rush: a short read does not mean that nothing is left: an end of file, an error or an urgent mark (at which
	// TCP ends a read, see tcp(7)) may stand behind it.
	rush       = unix.EPOLLRDHUP
	rushEvents = unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLHUP | unix.EPOLLERR
)

// drains says whether a read that did not fill its buffer has emptied the socket. It is so for TCP; datagrams and
// Unix sockets end a read at a boundary.
type drains uint8

const (
	drainsUnknown drains = iota
	drainsYes
	drainsNo
)

func (f *file) note(ev uint32) {
	if ev&(unix.EPOLLIN|rushEvents) != 0 {
		f.ready |= unix.EPOLLIN
	}
	if ev&rushEvents != 0 {
		f.ready |= rush
	}
	if ev&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		f.ready |= unix.EPOLLOUT
	}
}

func (f *file) drained() { f.ready &^= unix.EPOLLIN | rush }

// shortRead notes a read that returned less than there was room for.
func (r *Reactor) shortRead(f *file) {
	if f.ready&rush != 0 {
		return
	}
	if f.drains == drainsUnknown {
		f.drains = drainsNo
		r.count.Syscalls++
		if p, err := unix.GetsockoptInt(int(f.fd), unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil && p == unix.IPPROTO_TCP {
			f.drains = drainsYes
		}
	}
	if f.drains == drainsYes {
		f.drained()
	}
}

// watch confirms the registration of f, asking for events besides the usual ones.
func (r *Reactor) watch(f *file, events uint32) syscall.Errno {
	more := events &^ interest
	if f.watched && more&^f.asked == 0 {
		return 0
	}
	if !f.watched {
		// What was remembered may be of another file; the confirmation reports anew what holds.
		f.asked, f.ready = 0, 0
	}
	f.asked |= more
	return r.register(f, interest|f.asked)
}

// register tells the kernel what f is watched for, under a new generation.
func (r *Reactor) register(f *file, events uint32) syscall.Errno {
	f.gen++
	how := unix.EPOLL_CTL_ADD
	if f.registered {
		how = unix.EPOLL_CTL_MOD
	}
	for {
		r.count.Syscalls++
		errno := r.epollCtl(how, f.fd, events, f.gen)
		switch {
		case errno == 0:
			if how == unix.EPOLL_CTL_ADD {
				f.drains = drainsUnknown
			}
			f.registered, f.watched = true, true
			return 0
		case errno == syscall.ENOENT && how == unix.EPOLL_CTL_MOD:
			how = unix.EPOLL_CTL_ADD
		case errno == syscall.EEXIST && how == unix.EPOLL_CTL_ADD:
			how = unix.EPOLL_CTL_MOD
		default:
			return errno
		}
	}
}

// Forget ends the registration of fd. It is optional: an owner that calls it before close(2) saves the failing
// system call with which the reactor would find out later, and keeps a descriptor that was duplicated from causing
// events after its close. It does nothing while operations are in flight on fd.
func (r *Reactor) Forget(fd int) {
	f := r.files.find(int32(fd))
	if f == nil || f.users > 0 || !f.registered {
		return
	}
	f.registered = false
	r.count.Syscalls++
	// A failure means that it was closed already, and then there is nothing to end.
	r.epollCtl(unix.EPOLL_CTL_DEL, f.fd, 0, 0)
}

// fileTable finds the file of a descriptor. Blocks keep the addresses stable without a pointer per file.
type fileTable struct {
	blocks []*[fileBlock]file
}

const fileBlock = 64

func (t *fileTable) find(fd int32) *file {
	if i := int(fd) / fileBlock; fd >= 0 && i < len(t.blocks) && t.blocks[i] != nil {
		return &t.blocks[i][fd%fileBlock]
	}
	return nil
}

// at returns the file of fd, made if need be; nil when fd is not open, so that a wild number cannot claim memory.
func (t *fileTable) at(fd int32) *file {
	if f := t.find(fd); f != nil {
		return f
	}
	if fd < 0 {
		return nil
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return nil
	}
	i := int(fd) / fileBlock
	for len(t.blocks) <= i {
		t.blocks = append(t.blocks, nil)
	}
	b := new([fileBlock]file)
	for j := range b {
		b[j].fd = int32(i*fileBlock + j)
	}
	t.blocks[i] = b
	return t.find(fd)
}

// fileQueue is a FIFO of files that have more to do than one Poll allows.
type fileQueue struct {
	head, tail *file
	n          int
}

func (q *fileQueue) push(f *file) {
	if f.hot {
		return
	}
	f.hot, f.nextHot = true, nil
	if q.tail == nil {
		q.head = f
	} else {
		q.tail.nextHot = f
	}
	q.tail = f
	q.n++
}

func (q *fileQueue) pop() *file {
	f := q.head
	if q.head = f.nextHot; q.head == nil {
		q.tail = nil
	}
	f.hot, f.nextHot = false, nil
	q.n--
	return f
}

// queueOf is where an operation of kind k waits.
func (f *file) queueOf(k op.Kind) *taskQueue {
	switch k {
	case op.Send, op.SendZC, op.SendMsg, op.SendMsgZC, op.Connect:
		return &f.out
	case op.Poll:
		return &f.polls
	default:
		return &f.in
	}
}
