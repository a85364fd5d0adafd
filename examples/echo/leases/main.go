//go:build linux

// Command leases echoes without copying: what arrives stays in the engine's buffer until it is sent.
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
	log.Fatal(net.Serve(l, func(c net.Conn) { echo(c.(*net.TCPConn)) }))
}

func echo(c *net.TCPConn) {
	for {
		data, err := c.ReadLease()
		if err != nil {
			return
		}
		// WriteLease takes the lease over. Whoever keeps one instead calls Release, once.
		if err := c.WriteLease(data); err != nil {
			return
		}
	}
}
