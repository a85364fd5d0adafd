// Command evio serves with github.com/tidwall/evio.
package main

import (
	"os"

	"github.com/tidwall/evio"

	"github.com/ouro-io/ouro/bench/protocol"
)

func main() {
	serve := map[protocol.Role]func(*protocol.Server) error{}
	for _, r := range []protocol.Role{protocol.Echo, protocol.Sink, protocol.HTTP, protocol.UDP, protocol.Work} {
		serve[r] = run
	}
	os.Exit(protocol.Program{Serve: serve}.Main(os.Args[1:]))
}

func run(s *protocol.Server) error {
	var ev evio.Events
	ev.NumLoops = -1
	ev.LoadBalance = evio.LeastConnections
	ev.Serving = func(srv evio.Server) evio.Action {
		s.Ready(srv.Addrs[0].String())
		return evio.None
	}
	ev.Opened = func(evio.Conn) ([]byte, evio.Options, evio.Action) {
		return nil, evio.Options{ReuseInputBuffer: true}, evio.None
	}
	ev.Data = func(c evio.Conn, in []byte) ([]byte, evio.Action) {
		switch s.Role {
		case protocol.Sink:
			return nil, evio.None
		case protocol.HTTP:
			return answer(c, in), evio.None
		}
		s.Message(in)
		return in, evio.None
	}
	if s.Role != protocol.UDP {
		return evio.Serve(ev, "tcp4://127.0.0.1:0")
	}
	// evio cannot listen on port 0 of UDP.
	addr, err := protocol.FreeAddress("udp")
	if err != nil {
		return err
	}
	return evio.Serve(ev, "udp4://"+addr)
}

func answer(c evio.Conn, in []byte) []byte {
	rest, _ := c.Context().(*evio.InputStream)
	if rest == nil {
		rest = new(evio.InputStream)
		c.SetContext(rest)
	}
	b := rest.Begin(in)
	out, used := protocol.Answers(nil, b)
	rest.End(b[used:])
	return out
}
