//go:build linux

// Command callbacks echoes with the engine's callbacks: an idle connection has no stack.
package main

import (
	"context"
	"flag"
	"log"
	"net"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:7007", "where to listen")
	flag.Parse()
	e, err := proactor.Default()
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	a, err := e.Serve(l.(*net.TCPListener), proactor.Handler{OnData: echo, OnBacklog: backlog})
	if err != nil {
		log.Fatal(err)
	}
	log.Print("echo on ", l.Addr())
	log.Fatal(a.Wait(context.Background()))
}

// backlog has a peer that does not read wait until it does: meanwhile nothing of it is read either.
func backlog(c *proactor.Conn, long bool) {
	if long {
		c.PauseRead()
	} else {
		c.ResumeRead()
	}
}

// echo sends back what arrived. Send does not wait; without backlog, a peer that does not read would fill the connection's
// queue, which is bounded, and be dropped.
func echo(c *proactor.Conn, data buffers.Lease) {
	if err := c.Send(data); err != nil {
		_ = c.Close()
	}
}
