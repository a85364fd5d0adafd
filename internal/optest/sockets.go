//go:build linux

package optest

import (
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// own makes the rig close fd at the end.
func (r *rig) own(fd int) int {
	r.False(r.fds[fd], "descriptor %d twice", fd)
	r.fds[fd] = true
	return fd
}

func (r *rig) close(fd int) {
	r.True(r.fds[fd], "descriptor %d is not open", fd)
	delete(r.fds, fd)
	r.NoError(r.sys.Close(fd))
}

// reset closes fd so that its peer is reset.
func (r *rig) reset(fd int) {
	r.NoError(r.sys.CloseResets(fd))
	r.close(fd)
}

// socket makes a TCP socket in the backend's mode.
func (r *rig) socket() int {
	fd, err := r.sys.Socket(r.b.FileFlags())
	r.NoError(err)
	return r.own(fd)
}

// plain makes a blocking TCP socket for the peer's side.
func (r *rig) plain() int {
	fd, err := r.sys.Socket(0)
	r.NoError(err)
	return r.own(fd)
}

// guard makes reads and writes of a blocking socket fail after a while instead of hanging.
func (r *rig) guard(fd int) {
	r.NoError(r.sys.Guard(fd))
}

var loopback = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}

// listen makes a listener in the backend's mode and returns its address too.
func (r *rig) listen() (int, *unix.SockaddrInet4) {
	fd := r.socket()
	r.NoError(r.sys.Bind(fd, loopback))
	r.NoError(r.sys.Listen(fd, 128))
	return fd, r.addrOf(fd)
}

func (r *rig) addrOf(fd int) *unix.SockaddrInet4 {
	sa, err := r.sys.Name(fd)
	r.NoError(err)
	return sa
}

// dial connects a plain socket to sa. It is guarded only then: with a time limit the kernel does not restart a connect
// that the Go runtime's signals interrupt.
func (r *rig) dial(sa *unix.SockaddrInet4) int {
	fd := r.plain()
	r.NoError(r.sys.Connect(fd, sa))
	r.guard(fd)
	return fd
}

// pair makes a connection: fd non-blocking, as connections are, peer blocking.
func (r *rig) pair() (fd, peer int) {
	l := r.plain()
	r.NoError(r.sys.Bind(l, loopback))
	r.NoError(r.sys.Listen(l, 1))
	peer = r.dial(r.addrOf(l))
	fd, err := r.sys.Accept(l, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	r.NoError(err)
	r.close(l)
	r.NoError(r.sys.NoDelay(peer))
	return r.own(fd), peer
}

// pairAt makes a connection with fd under the number given, which must be free.
func (r *rig) pairAt(number int) (peer int) {
	// Taken first, so that nothing else gets it.
	r.NoError(r.sys.Reserve(number))
	fd, peer := r.pair()
	r.NoError(r.sys.Dup3(fd, number))
	r.close(fd)
	r.own(number)
	return peer
}

// raw is sa as the kernel takes it.
func raw(sa *unix.SockaddrInet4) []byte {
	b := make([]byte, unix.SizeofSockaddrInet4)
	binary.NativeEndian.PutUint16(b, unix.AF_INET)
	binary.BigEndian.PutUint16(b[2:], uint16(sa.Port))
	copy(b[4:], sa.Addr[:])
	return b
}

// write sends all of p.
func (r *rig) write(fd int, p []byte) {
	r.t.Helper()
	for len(p) > 0 {
		n, err := r.sys.Write(fd, p)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		r.NoError(err)
		p = p[n:]
	}
}

// read receives n bytes.
func (r *rig) read(fd, n int) []byte {
	r.t.Helper()
	p := make([]byte, n)
	_, err := io.ReadFull(fdReader{r.sys, fd}, p)
	r.NoError(err)
	return p
}

// readAll receives up to the end of file.
func (r *rig) readAll(fd int) []byte {
	r.t.Helper()
	p, err := io.ReadAll(fdReader{r.sys, fd})
	r.NoError(err)
	return p
}

type fdReader struct {
	sys Sockets
	fd  int
}

func (r fdReader) Read(p []byte) (int, error) {
	for {
		n, err := r.sys.Read(r.fd, p)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 && len(p) > 0 {
			err = io.EOF
		}
		return max(n, 0), err
	}
}

// pattern is n bytes of which no short stretch occurs twice soon, starting at position at of an endless stream.
func pattern(at, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		x := uint32(at+i) * 2654435761
		p[i] = byte(x>>24 ^ x>>13)
	}
	return p
}
