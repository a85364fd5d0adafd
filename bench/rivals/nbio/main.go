// Command nbio serves with github.com/lesismal/nbio.
package main

import (
	"os"
	"runtime"
	"sync"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"

	"github.com/ouro-io/ouro/bench/protocol"
)

func main() {
	serve := map[protocol.Role]func(*protocol.Server) error{}
	for _, r := range []protocol.Role{protocol.Echo, protocol.Sink, protocol.HTTP, protocol.Broadcast, protocol.Work,
		protocol.Block} {
		serve[r] = run
	}
	os.Exit(protocol.Program{Serve: serve}.Main(os.Args[1:]))
}

// subscribers are those of Broadcast.
type subscribers struct {
	mu  sync.Mutex
	all map[*nbio.Conn]bool
}

func run(s *protocol.Server) error {
	logging.SetLevel(logging.LevelNone)
	e := nbio.NewEngine(nbio.Config{Network: "tcp", Addrs: []string{"127.0.0.1:0"}, NPoller: runtime.GOMAXPROCS(0)})
	subs := &subscribers{all: map[*nbio.Conn]bool{}}
	e.OnData(func(c *nbio.Conn, b []byte) { data(s, subs, c, b) })
	e.OnClose(func(c *nbio.Conn, _ error) {
		subs.mu.Lock()
		defer subs.mu.Unlock()
		delete(subs.all, c)
	})
	if err := e.Start(); err != nil {
		return err
	}
	s.Ready(e.Addrs[0])
	e.Wait()
	return nil
}

func data(s *protocol.Server, subs *subscribers, c *nbio.Conn, b []byte) {
	switch s.Role {
	case protocol.Sink:
		return
	case protocol.HTTP:
		if rest, _ := c.Session().([]byte); len(rest) > 0 {
			b = append(rest, b...)
		}
		out, used := protocol.Answers(nil, b)
		c.SetSession(append([]byte(nil), b[used:]...))
		c.Write(out) //nolint:errcheck // the connection is gone then
		return
	case protocol.Broadcast:
		subs.publish(c, b)
		return
	case protocol.Work:
		s.Message(b)
	case protocol.Block:
		if protocol.Blocks(b) {
			m := append([]byte(nil), b...)
			go func() {
				s.Message(m)
				c.Write(m) //nolint:errcheck // the connection is gone then
			}()
			return
		}
	}
	c.Write(b) //nolint:errcheck // the connection is gone then
}

func (s *subscribers) publish(c *nbio.Conn, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.all[c] {
		s.all[c] = true
		c.Write(b) //nolint:errcheck // the connection is gone then
		return
	}
	for x := range s.all {
		x.Write(b) //nolint:errcheck // the connection is gone then
	}
}
