package pattern

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/bench/protocol"
)

// reactor is one loop over an epoll set. A connection whose peer does not read is waited for until it can be written to,
// and not read in the meantime. It waits in the runtime's own poller, for which the epoll set is one more descriptor: a
// goroutine that waited in epoll_wait itself would lose its P to another thread, and have to get it back, at every turn.
type reactor struct {
	ep, listener int
	wait         syscall.RawConn
	buf          []byte
	pending      map[int][]byte
}

func serveReactor(s *protocol.Server) error {
	r := &reactor{buf: make([]byte, 4096), pending: map[int][]byte{}}
	var err error
	if r.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if err := unix.Bind(r.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(r.listener, 4096); err != nil {
		return err
	}
	if r.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if err := unix.SetNonblock(r.ep, true); err != nil { // what the runtime polls must be
		return err
	}
	if r.wait, err = os.NewFile(uintptr(r.ep), "epoll").SyscallConn(); err != nil {
		return err
	}
	if err := r.watch(unix.EPOLL_CTL_ADD, r.listener, unix.EPOLLIN); err != nil {
		return err
	}
	name, err := unix.Getsockname(r.listener)
	if err != nil {
		return err
	}
	s.Ready(fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port))
	return r.run()
}

func (r *reactor) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(r.ep, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (r *reactor) run() error {
	events := make([]unix.EpollEvent, 256)
	for {
		var n int
		err := r.wait.Read(func(uintptr) bool {
			n, _ = unix.EpollWait(r.ep, events, 0)
			return n > 0
		})
		if err != nil {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			fd := int(e.Fd)
			switch {
			case fd == r.listener:
				err = r.accept()
			case e.Events&unix.EPOLLOUT != 0:
				err = r.write(fd, r.pending[fd])
			default:
				err = r.read(fd)
			}
			if err != nil && err != unix.EAGAIN {
				delete(r.pending, fd)
				unix.Close(fd)
			}
		}
	}
}

func (r *reactor) accept() error {
	for {
		fd, _, err := unix.Accept4(r.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return unix.EAGAIN
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			unix.Close(fd)
			continue
		}
		if err := r.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
			unix.Close(fd)
		}
	}
}

func (r *reactor) read(fd int) error {
	n, err := unix.Read(fd, r.buf)
	if err != nil {
		return err
	}
	if n == 0 {
		return unix.ECONNRESET
	}
	return r.write(fd, r.buf[:n])
}

// write sends b, and keeps what the socket does not take.
func (r *reactor) write(fd int, b []byte) error {
	_, waited := r.pending[fd]
	n, err := unix.Write(fd, b)
	if err == unix.EAGAIN {
		n = 0
	} else if err != nil {
		return err
	}
	if n == len(b) {
		if !waited {
			return nil
		}
		delete(r.pending, fd)
		return r.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN)
	}
	r.pending[fd] = append([]byte(nil), b[n:]...)
	if waited {
		return nil
	}
	return r.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLOUT)
}
