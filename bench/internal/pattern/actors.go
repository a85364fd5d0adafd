package pattern

import (
	"bytes"
	"context"

	"github.com/ouro-io/ouro/actor"
	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
	"github.com/ouro-io/ouro/stream"
)

func serveActors(s *protocol.Server) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	e, err := proactor.Default()
	if err != nil {
		return err
	}
	system, err := actor.NewSystem(actor.Config{Executor: e.Executor()})
	if err != nil {
		return err
	}
	s.Ready(l.Addr().String())
	return net.Serve(l, func(c net.Conn) {
		props := actor.Props[[]byte]{New: func(*actor.Context[[]byte]) (actor.Behavior[[]byte], error) {
			return func(_ *actor.Context[[]byte], piece []byte) error {
				_, err := c.Write(piece)
				return err
			}, nil
		}}
		a, err := actor.SpawnConn(system, props, actor.Conn[[]byte]{
			Conn:   c,
			Frames: func(chunks stream.Stream[[]byte]) stream.Stream[[]byte] { return chunks },
			Decode: func(piece []byte) ([]byte, error) { return bytes.Clone(piece), nil },
		})
		if err == nil {
			_, _ = a.Ended().Await(context.Background())
		}
	})
}
