//go:build !ouro

package contestant

import (
	"context"

	"github.com/ouro-io/ouro/proactor"
)

// The faces of package net, straight on the engine.

func serveOuro(o Options) error {
	return acceptOuro(o, false, func(c *proactor.Conn) { echoBlocking(c, o.Sink, o.buffer()) })
}

func serveOuroLease(o Options) error {
	return acceptOuro(o, false, func(c *proactor.Conn) { echoLeases(c, o.Sink) })
}

func serveOuroGoroutines(o Options) error {
	return acceptOuro(o, true, func(c *proactor.Conn) { echoBlocking(c, o.Sink, o.buffer()) })
}

func acceptOuro(o Options, goroutine bool, handle func(*proactor.Conn)) error {
	e, err := proactor.Default()
	if err != nil {
		return err
	}
	l, err := listenStd()
	if err != nil {
		return err
	}
	a, err := e.Accept(l, func(c *proactor.Conn) {
		err := c.Start(func() {
			defer c.Close()
			handle(c)
		}, complain, goroutine)
		if err != nil {
			c.Close()
			complain(err)
		}
	})
	if err != nil {
		return err
	}
	if !goroutine {
		countOuro(o, e)
	}
	o.Ready(l.Addr().String())
	return a.Wait(context.Background())
}
