//go:build linux

package simkernel

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// dice choose at random.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 1))} }

func (d dice) Choose(n int) int { return d.IntN(n) }

// sockets are the system calls of the suite. Those that wait let the network come to rest first; what is not there then
// never comes, as the goroutine that waits is the backend's.
type sockets struct{ k *Kernel }

func (s sockets) with(fd int, f func(*socket) error) error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	x, errno := s.k.socketOf(fd)
	if errno != 0 {
		return errno
	}
	return f(x)
}

func fault(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

func (s sockets) Socket(flags int) (int, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	fd, errno := s.k.install(&file{socket: s.k.newSocket(), nonblock: flags&unix.O_NONBLOCK != 0})
	return fd, fault(errno)
}

func (s sockets) Bind(fd int, _ *unix.SockaddrInet4) error {
	return s.with(fd, func(x *socket) error {
		x.local = s.k.endpoint(s.k.freePort())
		return nil
	})
}

func (s sockets) Listen(fd, backlog int) error {
	return s.with(fd, func(x *socket) error {
		x.listen(x.local.Port, backlog)
		return nil
	})
}

func (s sockets) Name(fd int) (sa *unix.SockaddrInet4, err error) {
	err = s.with(fd, func(x *socket) error {
		sa = &unix.SockaddrInet4{Port: int(x.local.Port), Addr: [4]byte(x.local.IP[:4])}
		return nil
	})
	return sa, err
}

func (s sockets) Connect(fd int, sa *unix.SockaddrInet4) error {
	return s.with(fd, func(x *socket) error {
		l := s.k.listeners[uint16(sa.Port)]
		if l == nil {
			return syscall.ECONNREFUSED
		}
		x.join(l)
		return nil
	})
}

func (s sockets) Accept(fd, flags int) (c int, err error) {
	err = s.with(fd, func(x *socket) error {
		var errno syscall.Errno
		c, errno = s.k.take(x, flags&unix.O_NONBLOCK != 0)
		return fault(errno)
	})
	return c, err
}

func (s sockets) Read(fd int, p []byte) (n int, err error) {
	s.rest()
	n, err = s.Receive(fd, p)
	if err == syscall.EAGAIN {
		err = syscall.EDEADLK
	}
	return n, err
}

func (s sockets) Receive(fd int, p []byte) (n int, err error) {
	s.rest()
	err = s.with(fd, func(x *socket) error {
		var errno syscall.Errno
		n, errno = x.recv(p)
		return fault(errno)
	})
	return n, err
}

func (s sockets) Write(fd int, p []byte) (n int, err error) {
	s.rest()
	err = s.with(fd, func(x *socket) error {
		var errno syscall.Errno
		if n, errno = x.send(p); errno == syscall.EAGAIN {
			errno = syscall.EDEADLK
		}
		return fault(errno)
	})
	return n, err
}

func (s sockets) rest() {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.k.settle()
}

func (s sockets) Shutdown(fd, how int) error { return fault(s.k.Shutdown(fd, how)) }

// Close is the system call itself, which nobody objects to.
func (s sockets) Close(fd int) error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.k.files[fd] == nil {
		return syscall.EBADF
	}
	s.k.uninstall(fd)
	return nil
}

func (s sockets) Connected(fd int) error {
	return s.with(fd, func(x *socket) error {
		if x.state != connected {
			return syscall.ENOTCONN
		}
		return nil
	})
}

func (s sockets) Flags(fd int) (flags int, closeOnExec bool, err error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	f := s.k.files[fd]
	if f == nil {
		return 0, false, syscall.EBADF
	}
	if f.nonblock {
		flags = unix.O_NONBLOCK
	}
	return flags, true, nil
}

func (s sockets) CloseResets(fd int) error {
	return s.with(fd, func(x *socket) error {
		x.linger0 = true
		return nil
	})
}

func (s sockets) Dup(fd int) (int, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	dup, errno := s.k.install(s.k.files[fd])
	return dup, fault(errno)
}

func (s sockets) Dup3(fd, number int) error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	f := s.k.files[fd]
	if s.k.files[number] != nil {
		s.k.uninstall(number)
	}
	f.refs++
	s.k.files[number] = f
	return nil
}

func (s sockets) Reserve(number int) error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.k.files[number] = &file{refs: 1}
	return nil
}

func (s sockets) Pipe(int) ([]int, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	a, _ := s.k.install(&file{})
	b, _ := s.k.install(&file{})
	return []int{a, b}, nil
}

func (s sockets) Exhausted(_ testing.TB, f func()) {
	set := func(n int) (was int) {
		s.k.mu.Lock()
		defer s.k.mu.Unlock()
		was, s.k.cfg.MaxFiles = s.k.cfg.MaxFiles, n
		return was
	}
	defer set(set(0))
	f()
}

func (sockets) Guard(int) error        { return nil }
func (sockets) NoDelay(int) error      { return nil }
func (sockets) Urgent(int, byte) error { return nil }

func (sockets) Lacks(check string) string {
	group, _, _ := strings.Cut(check, "/")
	switch group {
	case "file", "recvmsg", "recvmsg-into", "sendmsg":
		return "the simulated kernel has TCP sockets only"
	}
	switch check {
	case "recv/unix socket with descriptors", "recv/not a socket":
		return "the simulated kernel has TCP sockets only"
	case "life/no allocations":
		return "the simulated kernel allocates"
	}
	return ""
}

var _ op.Backend = tested{}
