// Command goroutines is an ordinary server with a goroutine for each connection. Only the import of net differs from a
// program on the standard library.
package main

import (
	"flag"
	"io"
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
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}
