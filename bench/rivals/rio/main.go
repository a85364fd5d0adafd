// Command rio serves with github.com/brickingsoft/rio.
package main

import (
	"io"
	"net"
	"net/http"
	"os"

	"github.com/brickingsoft/rio"

	"github.com/ouro-io/ouro/bench/protocol"
)

func main() {
	os.Exit(protocol.Program{Serve: map[protocol.Role]func(*protocol.Server) error{
		protocol.Echo:  stream,
		protocol.Sink:  stream,
		protocol.Work:  stream,
		protocol.Block: stream,
		protocol.HTTP:  web,
		protocol.UDP:   datagrams,
	}}.Main(os.Args[1:]))
}

// listen names a port: rio cannot listen on port 0 (it fails with EINVAL).
func listen() (net.Listener, error) {
	addr, err := protocol.FreeAddress("tcp")
	if err != nil {
		return nil, err
	}
	return rio.Listen("tcp", addr)
}

func stream(s *protocol.Server) error {
	l, err := listen()
	if err != nil {
		return err
	}
	s.Ready(l.Addr().String())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			s.Handle(c)
		}()
	}
}

func web(s *protocol.Server) error {
	l, err := listen()
	if err != nil {
		return err
	}
	s.Ready(l.Addr().String())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, protocol.PlainText) //nolint:errcheck // the client is gone then
	}))
}

func datagrams(s *protocol.Server) error {
	addr, err := protocol.FreeAddress("udp")
	if err != nil {
		return err
	}
	c, err := rio.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	s.Ready(c.LocalAddr().String())
	buf := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		if _, err := c.WriteTo(buf[:n], from); err != nil {
			return err
		}
	}
}
