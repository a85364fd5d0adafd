package contestant

import (
	"net"

	"github.com/valyala/fasthttp"

	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/buffers"
	onet "github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// web lists the servers of HTTP that are not a face of something else.
func web() []*Contestant {
	return []*Contestant{
		own("fasthttp", "fasthttp on package net", nil, servers{protocol.HTTP: serveFast}, nil),
		own("fasthttp-serve", "fasthttp's ServeConn inside ouro Serve, io_uring", onUring,
			servers{protocol.HTTP: serveFastOuro}, nil),
		own("fasthttp-serve-epoll", "the same on the epoll backend", onEpoll, servers{protocol.HTTP: serveFastOuro}, nil),
		own("ouro-http", "a minimal parser inside ouro Serve, io_uring: what the libraries cost", onUring,
			servers{protocol.HTTP: serveOuroAnswers}, nil),
	}
}

func fastServer() *fasthttp.Server {
	return &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType("text/plain")
		ctx.SetBodyString(protocol.PlainText)
	}}
}

func serveFast(s *protocol.Server) error {
	l, err := listenStd(s)
	if err != nil {
		return err
	}
	return fastServer().Serve(l)
}

func serveFastOuro(s *protocol.Server) error {
	f := fastServer()
	return serveNet(s, func(c net.Conn) { f.ServeConn(c) }) //nolint:errcheck // how one client ends is its own affair
}

// serveOuroAnswers reads into one buffer and answers each whole request in it.
func serveOuroAnswers(s *protocol.Server) error {
	return serveNet(s, func(c onet.Conn) {
		buf, have := make([]byte, s.BufferSize()), 0
		var out []byte
		for {
			n, err := c.Read(buf[have:])
			if err != nil {
				return
			}
			var used int
			out, used = protocol.Answers(out[:0], buf[:have+n])
			have = copy(buf, buf[used:have+n])
			if _, err := c.Write(out); err != nil || have == len(buf) {
				return
			}
		}
	})
}

// answerCallback answers whole requests; what is left of one stays with the connection.
func answerCallback(pool *buffers.Pool) func(*proactor.Conn, buffers.Lease) {
	return func(c *proactor.Conn, d buffers.Lease) {
		b := d.Bytes()
		if rest, _ := c.Value().([]byte); len(rest) > 0 {
			b = append(rest, b...)
			c.SetValue([]byte(nil))
		}
		out, used := protocol.Answers(nil, b)
		if used < len(b) {
			c.SetValue(append([]byte(nil), b[used:]...))
		}
		d.Release()
		if len(out) == 0 {
			return
		}
		answer, err := pool.Get(len(out))
		if err != nil {
			c.Close()
			return
		}
		copy(answer.Bytes(), out)
		if c.Send(answer) != nil {
			c.Close()
		}
	}
}
