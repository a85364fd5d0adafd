package pattern

import (
	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/net"
)

func serveCoroutines(s *protocol.Server) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Ready(l.Addr().String())
	return net.Serve(l, func(c net.Conn) {
		defer c.Close()
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	})
}
