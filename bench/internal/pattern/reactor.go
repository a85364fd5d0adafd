package pattern

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/reactorfallback"
)

// reactor is one loop of package reactorfallback over sockets of its own.
type reactor struct {
	loop *reactorfallback.Loop
	buf  []byte // of whoever reads at the moment
}

func serveReactor(s *protocol.Server) error {
	loop, err := reactorfallback.NewLoop(reactorfallback.LoopConfig{})
	if err != nil {
		return err
	}
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(listener, 4096); err != nil {
		return err
	}
	name, err := unix.Getsockname(listener)
	if err != nil {
		return err
	}
	r := &reactor{loop: loop, buf: make([]byte, 4096)}
	if _, err := loop.Watch(listener, reactorfallback.Readable, r.accept); err != nil {
		return err
	}
	s.Ready(fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port))
	return loop.Run(context.Background())
}

// accept takes all connections that are there.
func (r *reactor) accept(l *reactorfallback.Registration, _ reactorfallback.Events) {
	for {
		fd, _, err := unix.Accept4(l.FD(), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if err == nil {
			_, err = r.loop.Watch(fd, reactorfallback.Readable, (&reactorConn{r: r}).ready)
		}
		if err != nil {
			unix.Close(fd)
		}
	}
}

// reactorConn is a connection. While it has something pending it is watched for writing, and not read.
type reactorConn struct {
	r       *reactor
	pending []byte
}

func (c *reactorConn) ready(g *reactorfallback.Registration, _ reactorfallback.Events) {
	b := c.pending
	if len(b) == 0 {
		n, err := unix.Read(g.FD(), c.r.buf)
		if n <= 0 {
			endUnlessEarly(g, err)
			return
		}
		b = c.r.buf[:n]
	}
	n, err := unix.Write(g.FD(), b)
	if err != nil {
		n = 0
		endUnlessEarly(g, err)
	}
	if n == len(b) {
		c.pending = nil
		g.Set(reactorfallback.Readable)
		return
	}
	c.pending = append([]byte(nil), b[n:]...)
	g.Set(reactorfallback.Writable)
}

// endUnlessEarly ends the connection, unless it was only not ready after all.
func endUnlessEarly(g *reactorfallback.Registration, err error) {
	if err != unix.EAGAIN && err != unix.EINTR {
		g.Close(func() { unix.Close(g.FD()) })
	}
}
