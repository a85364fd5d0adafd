package pattern

import (
	"context"
	"net"

	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

func serveProactor(s *protocol.Server) error {
	e, err := proactor.Default()
	if err != nil {
		return err
	}
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	a, err := e.Serve(l, proactor.Handler{
		OnData: func(c *proactor.Conn, data buffers.Lease) {
			if c.Send(data) != nil {
				c.Close()
			}
		},
	})
	if err != nil {
		return err
	}
	s.Ready(l.Addr().String())
	return a.Wait(context.Background())
}
