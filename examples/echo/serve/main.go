// Command serve echoes with one coroutine per connection: the handler is straight-line code.
package main

import (
	"flag"
	"log"

	"github.com/ouro-io/ouro/net"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:7007", "where to listen")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Print("echo on ", l.Addr())
	log.Fatal(net.Serve(l, func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return // the connection is closed when its handler returns
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	}))
}
