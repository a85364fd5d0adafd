// Http serves the same application four ways:
//
//	go run ./examples/http -way std             net/http on the standard library's package net
//	go run ./examples/http -way ouro            net/http on package net of ouro
//	go run ./examples/http -way fasthttp        fasthttp on the standard library's package net
//	go run ./examples/http -way fasthttp-serve  fasthttp's ServeConn as the handler of ouro's Serve
//
// The second is the first with one import changed. The fourth runs each connection's handler as a coroutine of the worker
// that reaps the ring: fasthttp serves a connection from one function, which is what Serve wants. GET / greets,
// POST /reverse answers with the body's bytes in reverse order, up to 1 MiB, and with status 413 for more. Beyond 4 MiB the two
// with fasthttp end the connection under a client that goes on sending, which may not see the answer. The first SIGINT or
// SIGTERM ends it gracefully, the second at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	stdnet "net"
	"net/http"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ouro-io/ouro/net"
)

// fastLimit is the largest body that fasthttp reads, in bytes, to have handleFast refuse it.
const fastLimit = 4 << 20

func main() {
	way := flag.String("way", "fasthttp-serve", strings.Join(slices.Sorted(maps.Keys(ways)), ", "))
	address := flag.String("address", "127.0.0.1:8080", "where to listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, *way, *address, func(a stdnet.Addr) { log.Printf("%s serves http://%s", *way, a) })
	if err != nil {
		log.Fatal(err)
	}
}

// ways are the four servers: each listens at an address, says where, and serves until the context ends.
var ways = map[string]func(ctx context.Context, address string, ready func(stdnet.Addr)) error{
	"std":            serveStd,
	"ouro":           serveOuro,
	"fasthttp":       serveFast,
	"fasthttp-serve": serveFastInServe,
}

// run serves one way until ctx ends.
func run(ctx context.Context, way, address string, ready func(stdnet.Addr)) error {
	serve, ok := ways[way]
	if !ok {
		return fmt.Errorf("-way %s: choose one of %s", way, strings.Join(slices.Sorted(maps.Keys(ways)), ", "))
	}
	return serve(ctx, address, ready)
}

// grace is how long requests under way may take when the server ends.
const grace = 10 * time.Second

func serveStd(ctx context.Context, address string, ready func(stdnet.Addr)) error {
	l, err := stdnet.Listen("tcp", address)
	if err != nil {
		return err
	}
	ready(l.Addr())
	return serveHTTP(ctx, l)
}

func serveOuro(ctx context.Context, address string, ready func(stdnet.Addr)) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ready(l.Addr())
	return serveHTTP(ctx, l)
}

func serveHTTP(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: http.HandlerFunc(handle)}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		ended <- srv.Shutdown(last)
	})
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-ended
}

func serveFast(ctx context.Context, address string, ready func(stdnet.Addr)) error {
	l, err := stdnet.Listen("tcp", address)
	if err != nil {
		return err
	}
	ready(l.Addr())
	srv := &fasthttp.Server{Handler: handleFast, CloseOnShutdown: true, MaxRequestBodySize: fastLimit}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		ended <- srv.ShutdownWithContext(last)
	})
	if err := srv.Serve(l); err != nil {
		stop()
		return err
	}
	return <-ended
}
