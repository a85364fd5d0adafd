package main

import (
	"context"
	"log"
	stdnet "net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ouro-io/ouro/net"
)

// firstByte is how long a connection may be open without a request, which nobody else bounds: fasthttp takes it for busy.
const firstByte = 5 * time.Second

// serveFastInServe has Serve wait for the handlers at the end. fasthttp knows which connections wait for a request, but its
// Shutdown ends only those that it has accepted itself.
func serveFastInServe(ctx context.Context, address string, ready func(stdnet.Addr)) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer l.Close()
	ready(l.Addr())
	var all turns
	srv := &fasthttp.Server{MaxRequestBodySize: fastLimit, ConnState: all.changed, Handler: func(rc *fasthttp.RequestCtx) {
		handleFast(rc)
		if ctx.Err() != nil {
			rc.SetConnectionClose()
		}
	}}
	config := net.ServeConfig{Drain: grace, OnDrain: all.end, FirstBytesTimeout: firstByte}
	err = config.ServeContext(ctx, l, func(c net.Conn) {
		all.of.Store(c, &turn{c: c, busy: true})
		defer all.of.Delete(c)
		if err := srv.ServeConn(c); err != nil && ctx.Err() == nil {
			log.Printf("%v: %v", c.RemoteAddr(), err)
		}
	})
	if err == context.Cause(ctx) { // more of an error tells of connections that were closed by force
		return nil
	}
	return err
}

// turns has the turn of each connection.
type turns struct{ of sync.Map }

// turn is whose turn it is on a connection: busy means the server's. At the end the client's turns end at once, those that follow
// too.
type turn struct {
	mu     sync.Mutex
	c      stdnet.Conn
	busy   bool
	ending bool
}

// changed is told by fasthttp.
func (all *turns) changed(c stdnet.Conn, state fasthttp.ConnState) {
	if t, ok := all.of.Load(c); ok {
		t.(*turn).set(func(t *turn) { t.busy = state != fasthttp.StateIdle })
	}
}

// end is told by Serve.
func (all *turns) end(c net.Conn) {
	if t, ok := all.of.Load(c); ok {
		t.(*turn).set(func(t *turn) { t.ending = true })
	}
}

func (t *turn) set(change func(*turn)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(t)
	switch {
	case !t.ending:
	case t.busy:
		_ = t.c.SetReadDeadline(time.Time{}) // the request came in the last moment
	default:
		_ = t.c.SetReadDeadline(time.Now())
	}
}
