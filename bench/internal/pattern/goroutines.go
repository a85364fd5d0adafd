package pattern

import (
	"io"
	"net"

	"github.com/ouro-io/ouro/bench/protocol"
)

func serveGoroutines(s *protocol.Server) error {
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
		go func() {
			defer c.Close()
			buf := make([]byte, 4096)
			// Without the wrappers io.CopyBuffer would splice, which is for bulk data.
			io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, buf) //nolint:errcheck // the client is gone then
		}()
	}
}
