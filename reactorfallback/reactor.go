//go:build linux

package reactorfallback

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/netpark"
	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

// Reactor is an op.Backend on epoll. The package comment says who may call what.
type Reactor struct {
	cfg   Config
	epfd  int
	group *buffers.Group

	table op.Table
	tasks []*[taskBlock]task // by slot of the table
	files fileTable
	pool  filePool
	due   taskQueue // results to deliver in the next Poll
	hot   fileQueue // files that are ready and had their share

	// events[next:filled] are reported and not yet handled.
	events       []unix.EpollEvent
	next, filled int
	delivered    int  // by this Poll
	asked        bool // the last Poll asked the kernel
	noPwait2     bool
	closed       bool
	broken       error

	// Kept here because on the stack they would escape to the heap.
	comp     op.Completion
	share    int // what serve allows the present step to deliver
	incoming [recvBatch]scratch
	headers  [recvBatch]dgram.Msg
	outgoing [sendBatch]dgram.Msg
	unsent   []*file // with messages submitted since the last Poll
	ctl      unix.EpollEvent
	pollfd   unix.PollFd
	timeout  unix.Timespec

	waker waker

	tickFD  int
	tick    unix.ItimerSpec
	ticking bool
	pace    netpark.Pace
	parker  *netpark.Parker // nil while not in use
	unused  int             // answers with events since it was of use

	count    op.Stats // the worker's own; published at the end of each Poll
	statsMu  sync.Mutex
	stats    op.Stats
	inFlight atomic.Int64
}

var _ op.Backend = (*Reactor)(nil)

// New makes a Reactor. It fails when Config is out of its limits, when the process has no descriptors left
// (EMFILE, ENFILE: raise RLIMIT_NOFILE) or no memory.
func New(c Config) (*Reactor, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	group, err := buffers.NewGroup(c.Buffers)
	if err != nil {
		return nil, err
	}
	r := &Reactor{cfg: c, group: group, epfd: -1, events: make([]unix.EpollEvent, c.Events)}
	r.waker.fd, r.tickFD = -1, -1
	r.pool.init(c.FileThreads, r.Wake)
	if err := r.open(); err != nil {
		r.release()
		return nil, fmt.Errorf("reactorfallback: %w", err)
	}
	return r, nil
}

func (r *Reactor) open() error {
	var err error
	if r.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		r.epfd = -1
		return os.NewSyscallError("epoll_create1", err)
	}
	if r.waker.fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		r.waker.fd = -1
		return os.NewSyscallError("eventfd", err)
	}
	// Edge-triggered, so that nobody ever needs to read it.
	if errno := r.epollCtl(unix.EPOLL_CTL_ADD, int32(r.waker.fd), unix.EPOLLIN|unix.EPOLLET, ownGen); errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	if r.tickFD, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		r.tickFD = -1
		return os.NewSyscallError("timerfd_create", err)
	}
	if errno := r.epollCtl(unix.EPOLL_CTL_ADD, int32(r.tickFD), unix.EPOLLIN|unix.EPOLLET, ownGen); errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// release gives everything back to the kernel.
func (r *Reactor) release() error {
	r.waker.close()
	r.unpark()
	if r.tickFD >= 0 {
		unix.Close(r.tickFD)
		r.tickFD = -1
	}
	if r.epfd >= 0 {
		unix.Close(r.epfd)
		r.epfd = -1
	}
	return r.group.Close()
}

// Submit accepts o, see op.Backend. A Send and a Connect are tried at once.
func (r *Reactor) Submit(o *op.Op) error {
	if r.closed || r.broken != nil {
		return op.ErrClosed
	}
	if o.Kind > op.SendMsgZC {
		return fmt.Errorf("reactorfallback: operation of kind %d (%v) is not known here", o.Kind, o.Kind)
	}
	t := r.begin(o)
	if o.Kind == op.Nop {
		r.settle(t, 0, 0)
		return nil
	}
	if o.Kind.OnFile() {
		r.pool.submit(t)
		return nil
	}
	f := r.files.at(o.FD)
	if f == nil {
		r.settle(t, 0, syscall.EBADF)
		return nil
	}
	t.file = f
	f.users++
	switch o.Kind {
	case op.Send, op.SendZC: // it copies
		r.submitSend(f, t)
	case op.SendMsg, op.SendMsgZC:
		r.submitSendMsg(f, t)
	case op.Connect:
		r.submitConnect(f, t)
	case op.Poll:
		r.submitPoll(f, t)
	default:
		f.in.push(t)
		r.await(f, t, unix.EPOLLIN)
	}
	return nil
}

// await sees to it that t, which was just queued at f, gets its turn once f is ready.
func (r *Reactor) await(f *file, t *task, ready uint32) {
	errno := r.watch(f, 0)
	if errno == syscall.EPERM {
		// Not watchable: no call waits, so its own answer is the result.
		f.ready |= unix.EPOLLIN | unix.EPOLLOUT
		errno = 0
	}
	if errno != 0 {
		f.queueOf(t.op.Kind).remove(t)
		r.settle(t, int32(t.done), errnoUnless(t.done > 0, errno))
		return
	}
	if f.ready&ready != 0 {
		r.hot.push(f)
	}
}

// errnoUnless is errno unless there is a count to report instead.
func errnoUnless(counted bool, errno syscall.Errno) syscall.Errno {
	if counted {
		return 0
	}
	return errno
}

// Cancel asks for an early end of o, see op.Backend. What has its result already keeps it; a Send that has sent
// something ends with the count.
func (r *Reactor) Cancel(o *op.Op) {
	if !o.MarkCancelled() {
		return
	}
	t := r.task(o)
	if t.due {
		return
	}
	if t.file == nil {
		if r.pool.cancel(t) {
			r.settle(t, 0, syscall.ECANCELED)
		}
		return
	}
	t.file.queueOf(o.Kind).remove(t)
	r.settle(t, int32(t.done), errnoUnless(t.done > 0, syscall.ECANCELED))
}

// Close ends what is in flight with ECANCELED, see op.Backend. It returns an error when leases of the group are
// still held; their memory is released with the last of them. Closing again does nothing.
func (r *Reactor) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.table.All(r.Cancel)
	r.drainFiles()
	for r.due.n > 0 {
		r.finish(r.due.pop())
	}
	r.publish()
	return r.release()
}

// Buffers is the pool that Recv takes its memory from.
func (r *Reactor) Buffers() *buffers.Group { return r.group }

// Stats counts what happened up to the end of the last Poll. Syscalls counts every system call of the reactor, also
// those that receive, send and accept. Safe from any goroutine.
func (r *Reactor) Stats() op.Stats {
	r.statsMu.Lock()
	defer r.statsMu.Unlock()
	return r.stats
}

func (r *Reactor) publish() {
	r.statsMu.Lock()
	r.stats = r.count
	r.statsMu.Unlock()
}

// InFlight is the number of operations accepted and not yet ended. Safe from any goroutine.
func (r *Reactor) InFlight() int { return int(r.inFlight.Load()) }

// Batches is false: each operation is a system call of its own.
func (r *Reactor) Batches() bool { return false }

// FileFlags is O_NONBLOCK.
func (r *Reactor) FileFlags() int { return unix.O_NONBLOCK }
