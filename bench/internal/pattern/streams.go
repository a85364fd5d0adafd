package pattern

import (
	"context"

	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/stream"
)

func serveStreams(s *protocol.Server) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Ready(l.Addr().String())
	return net.Serve(l, func(c net.Conn) {
		defer c.Close()
		t := c.(*net.TCPConn)
		stream.WriteLeases(context.Background(), stream.Leases(t), t) //nolint:errcheck // the client is gone then
	})
}
