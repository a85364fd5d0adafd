// Command netpoll serves with github.com/cloudwego/netpoll.
package main

import (
	"context"
	"io"
	"os"

	"github.com/cloudwego/netpoll"

	"github.com/ouro-io/ouro/bench/protocol"
)

func main() {
	serve := map[protocol.Role]func(*protocol.Server) error{}
	for _, r := range []protocol.Role{protocol.Echo, protocol.Sink, protocol.HTTP, protocol.Work, protocol.Block} {
		serve[r] = run
	}
	os.Exit(protocol.Program{Serve: serve}.Main(os.Args[1:]))
}

func run(s *protocol.Server) error {
	netpoll.SetLoggerOutput(io.Discard)
	l, err := netpoll.CreateListener("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	loop, err := netpoll.NewEventLoop(func(_ context.Context, c netpoll.Connection) error { return handle(s, c) })
	if err != nil {
		return err
	}
	s.Ready(l.Addr().String())
	return loop.Serve(l)
}

// handle is called on a goroutine of netpoll's pool, one at a time per connection.
func handle(s *protocol.Server, c netpoll.Connection) error {
	r := c.Reader()
	n := r.Len()
	if s.Role == protocol.HTTP {
		return answer(c)
	}
	b, err := r.Next(n)
	if err != nil {
		return c.Close()
	}
	if s.Role != protocol.Sink {
		out, err := c.Writer().Malloc(n)
		if err != nil {
			return c.Close()
		}
		copy(out, b)
		s.Message(out)
		if err := c.Writer().Flush(); err != nil {
			return c.Close()
		}
	}
	return r.Release()
}

// answer takes whole requests; it waits for the rest of one that has begun.
func answer(c netpoll.Connection) error {
	r := c.Reader()
	b, err := r.Peek(r.Len())
	if err != nil {
		return c.Close()
	}
	out, used := protocol.Answers(nil, b)
	if used == 0 {
		if _, err := r.Peek(len(b) + 1); err != nil {
			return c.Close()
		}
		return nil
	}
	if err := r.Skip(used); err != nil {
		return c.Close()
	}
	if _, err := c.Writer().WriteBinary(out); err != nil {
		return c.Close()
	}
	if err := c.Writer().Flush(); err != nil {
		return c.Close()
	}
	return r.Release()
}
