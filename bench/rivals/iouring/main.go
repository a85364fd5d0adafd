// Command iouring serves, and reads files, with github.com/iceber/iouring-go: one ring, a goroutine per connection or
// reader. The package reaches into package syscall by linkname: build it with -ldflags=-checklinkname=0.
package main

import (
	"net"
	"os"
	"syscall"

	"github.com/iceber/iouring-go"

	"github.com/ouro-io/ouro/bench/protocol"
)

const entries = 1024

func main() {
	os.Exit(protocol.Program{
		Serve: map[protocol.Role]func(*protocol.Server) error{
			protocol.Echo: run, protocol.Sink: run, protocol.Work: run, protocol.Block: run,
		},
		Do: map[protocol.Role]func(protocol.Args) (protocol.Result, error){protocol.File: files},
	}.Main(os.Args[1:]))
}

func run(s *protocol.Server) error {
	ring, err := iouring.New(entries)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Ready(l.Addr().String())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		f, err := c.(*net.TCPConn).File()
		if err != nil {
			return err
		}
		c.Close()
		// Nobody else may have switched the descriptor to waiting by itself.
		if err := syscall.SetNonblock(int(f.Fd()), false); err != nil {
			return err
		}
		go func() {
			defer f.Close()
			s.Handle(&conn{ring: ring, fd: int(f.Fd()), done: make(chan iouring.Result, 1)})
		}()
	}
}

// conn reads and writes a descriptor through the ring.
type conn struct {
	ring *iouring.IOURing
	fd   int
	done chan iouring.Result
}

func (c *conn) do(p iouring.PrepRequest) (int, error) {
	if _, err := c.ring.SubmitRequest(p, c.done); err != nil {
		return 0, err
	}
	return result(<-c.done)
}

// result is what the kernel answered. ReturnInt knows only some operations.
func result(r iouring.Result) (int, error) {
	n, err := r.(iouring.Request).GetRes()
	if err == nil && n < 0 {
		err = syscall.Errno(-n)
	}
	return n, err
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.do(iouring.Recv(c.fd, p, 0))
	if n == 0 && err == nil {
		err = net.ErrClosed
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := c.do(iouring.Send(c.fd, p[done:], syscall.MSG_NOSIGNAL))
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

func files(a protocol.Args) (protocol.Result, error) {
	ring, err := iouring.New(entries)
	if err != nil {
		return protocol.Result{}, err
	}
	return protocol.ReadFile(a, func(f *os.File) func([]byte, int64) (int, error) {
		fd, done := int(f.Fd()), make(chan iouring.Result, 1)
		return func(p []byte, off int64) (int, error) {
			if _, err := ring.SubmitRequest(iouring.Pread(fd, p, uint64(off)), done); err != nil {
				return 0, err
			}
			return result(<-done)
		}
	})
}
