//go:build linux

package simkernel

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// A file is what descriptors refer to. Duplicates share it, and an operation in flight holds it open.
type file struct {
	socket   *socket // nil: something that is no socket of a stream
	gram     *gram   // nil: something that is no socket for datagrams
	disk     *disk   // nil: something that is no disk file
	nonblock bool
	refs     int
	inFlight int // operations
	lags     int // operations that have ended, but still hold it
	fds      int // descriptors
}

func (f *file) drop() {
	if f.refs--; f.refs > 0 {
		return
	}
	switch {
	case f.socket != nil:
		f.socket.release()
	case f.gram != nil:
		f.gram.release()
	}
}

// install gives f the lowest free descriptor. f gains a reference.
func (k *Kernel) install(f *file) (int, syscall.Errno) {
	if len(k.files) >= k.cfg.MaxFiles {
		return -1, syscall.EMFILE
	}
	fd := k.lowest
	for k.files[fd] != nil {
		fd++
	}
	k.lowest = fd + 1
	f.refs++
	f.fds++
	k.files[fd] = f
	return fd, 0
}

func (k *Kernel) uninstall(fd int) {
	f := k.files[fd]
	delete(k.files, fd)
	k.lowest = min(k.lowest, fd)
	if f.fds--; f.fds == 0 && f.lags > 0 && (f.gram != nil || f.socket != nil && f.socket.state == listening) {
		k.violate("the address of descriptor %d is in use although it was closed: an operation that has ended holds it", fd)
	}
	f.drop()
}

func (k *Kernel) freePort() uint16 {
	k.lastPort++
	return k.lastPort
}

func (k *Kernel) endpoint(port uint16) op.Endpoint {
	return op.Endpoint{Family: 4, IP: [16]byte{127, 0, 0, 1}, Port: port}
}

// socketOf is the socket behind fd.
func (k *Kernel) socketOf(fd int) (*socket, syscall.Errno) {
	f := k.files[fd]
	switch {
	case f == nil:
		return nil, syscall.EBADF
	case f.socket == nil:
		return nil, syscall.ENOTSOCK
	}
	return f.socket, 0
}

// Listen makes a listening socket. The descriptor stays open until Close.
func (k *Kernel) Listen(backlog int) (fd int, port uint16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.newSocket()
	s.listen(k.freePort(), backlog)
	fd, _ = k.install(&file{socket: s})
	return fd, s.local.Port
}

// ListenAs makes a listening socket under a number that belongs to a real descriptor: for code that insists on a real
// listener and has the engine accept from it.
func (k *Kernel) ListenAs(fd, backlog int) (port uint16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.newSocket()
	s.listen(k.freePort(), backlog)
	k.files[fd] = &file{socket: s, refs: 1, fds: 1}
	return s.local.Port
}

func (s *socket) listen(port uint16, backlog int) {
	s.state, s.backlog, s.local = listening, backlog, s.k.endpoint(port)
	s.k.listeners[port] = s
}

// take accepts the next connection of l.
func (k *Kernel) take(l *socket, nonblock bool) (int, syscall.Errno) {
	switch {
	case l.state != listening:
		return -1, syscall.EINVAL
	case len(l.queue) == 0:
		return -1, syscall.EAGAIN
	}
	fd, errno := k.install(&file{socket: l.queue[0], nonblock: nonblock})
	if errno != 0 {
		return -1, errno
	}
	l.queue = l.queue[1:]
	return fd, 0
}

// Send implements op.System.
func (k *Kernel) Send(fd int, p []byte) (int, syscall.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, errno := k.socketOf(fd)
	if errno != 0 {
		k.violate("send on descriptor %d: %v", fd, errno)
		return 0, errno
	}
	if k.fault("direct send does not take it", k.cfg.Faults.Wait) {
		return 0, syscall.EAGAIN
	}
	return s.send(p)
}

// Recv implements op.System.
func (k *Kernel) Recv(fd int, p []byte) (int, syscall.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, errno := k.socketOf(fd)
	if errno != 0 {
		k.violate("recv on descriptor %d: %v", fd, errno)
		return 0, errno
	}
	return s.recv(p)
}

// Shutdown implements op.System.
func (k *Kernel) Shutdown(fd, how int) syscall.Errno {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, errno := k.socketOf(fd)
	if errno != 0 {
		k.violate("shutdown of descriptor %d: %v", fd, errno)
		return errno
	}
	return s.shutdown(how)
}

// Close implements op.System.
func (k *Kernel) Close(fd int, how op.Closing) syscall.Errno {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.files[fd]
	if f == nil {
		k.violate("close of descriptor %d, which is not open", fd)
		return syscall.EBADF
	}
	if f.inFlight > 0 {
		k.violate("descriptor %d was closed with %d operations in flight on it", fd, f.inFlight)
	}
	switch s := f.socket; {
	case s == nil:
	case how == op.Reset:
		s.linger0 = true
	case f.fds == 1 && s.unpaid():
		k.violate("descriptor %d was closed while the kernel reads from memory that it was lent, and nothing bounds for how long", fd)
	}
	k.uninstall(fd)
	return 0
}

// Lingers implements op.System: no socket here has SO_LINGER set.
func (k *Kernel) Lingers(int) bool { return false }

// Duplicate implements op.System.
func (k *Kernel) Duplicate(fd, flags int) (int, syscall.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.files[fd]
	if f == nil {
		return -1, syscall.EBADF
	}
	f.nonblock = flags&unix.O_NONBLOCK != 0
	return k.install(f)
}

// Name implements op.System.
func (k *Kernel) Name(fd int, peer bool) op.Endpoint {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.files[fd]; f != nil && f.gram != nil {
		if peer {
			return f.gram.remote
		}
		return f.gram.local
	}
	s, errno := k.socketOf(fd)
	switch {
	case errno != 0:
		return op.Endpoint{}
	case !peer:
		return s.local
	case s.state != connected:
		return op.Endpoint{}
	}
	return s.remote
}

var _ op.System = (*Kernel)(nil)
