package pattern

import (
	"bufio"
	"context"
	"io"

	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/csp"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/net"
)

// pieces makes a frame of whatever has arrived.
type pieces struct{}

func (pieces) ReadFrame(r *bufio.Reader) ([]byte, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	b := make([]byte, r.Buffered())
	_, err := io.ReadFull(r, b)
	return b, err
}

func (pieces) WriteFrame(w *bufio.Writer, frame []byte) error {
	_, err := w.Write(frame)
	return err
}

func serveCSP(s *protocol.Server) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Ready(l.Addr().String())
	return net.Serve(l, func(c net.Conn) {
		defer c.Close()
		scope, err := executor.NewScope(context.Background(), executor.ScopeConfig{})
		if err != nil {
			return
		}
		in, err := csp.FromConn(scope, c, pieces{}, 4)
		if err != nil {
			return
		}
		out, err := csp.ToConn(scope, c, pieces{}, 4)
		if err != nil {
			return
		}
		for piece := range in.Range() {
			if out.SendContext(scope.Context(), piece) != nil {
				break
			}
		}
		out.Close()
		scope.Wait() //nolint:errcheck // the client is gone then
	})
}
