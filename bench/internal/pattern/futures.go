package pattern

import (
	"context"

	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/future"
	"github.com/ouro-io/ouro/net"
)

func serveFutures(s *protocol.Server) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Ready(l.Addr().String())
	return net.Serve(l, func(c net.Conn) {
		defer c.Close()
		buf := make([]byte, 4096)
		read := func(context.Context) (int, error) { return c.Read(buf) }
		write := func(n int) (int, error) { return c.Write(buf[:n]) }
		for {
			echoed := future.Then(future.Go(context.Background(), read), write)
			if _, err := echoed.Await(context.Background()); err != nil {
				return
			}
		}
	})
}
