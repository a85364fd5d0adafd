// Command limiter is a TCP proxy that lets a bounded number of bytes per second through each connection, in either
// direction. It is two streams per connection: a source over one socket, a throttle, a sink over the other. A sender that
// is too fast is slowed down by its own socket; nothing gathers in the proxy.
package main

import (
	"context"
	"flag"
	"log"
	stdnet "net"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/stream"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:7010", "where to listen")
	to := flag.String("to", "127.0.0.1:7007", "where to connect to")
	rate := flag.Int("rate", 1<<20, "bytes per second and direction")
	flag.Parse()
	if *rate < 1 {
		log.Fatalf("-rate %d: must be 1 or more", *rate)
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Print("limiter on ", l.Addr())
	log.Fatal(net.Serve(l, func(client net.Conn) {
		if err := proxy(client, *to, *rate); err != nil {
			log.Print(err)
		}
	}))
}

func proxy(client net.Conn, to string, rate int) error {
	server, err := net.Dial("tcp", to)
	if err != nil {
		return err
	}
	defer server.Close()
	// The two directions are children of one scope: an error of either ends both.
	scope, err := executor.NewScope(context.Background(), executor.ScopeConfig{})
	if err != nil {
		return err
	}
	for _, way := range [][2]stdnet.Conn{{client, server}, {server, client}} {
		err := scope.Go(func(ctx context.Context) error {
			from, into := way[0], way[1]
			weigh := func(chunk []byte) int { return len(chunk) }
			if _, err := stream.Write(ctx, stream.Read(from).ThrottleBy(rate, time.Second, weigh), into); err != nil {
				return err
			}
			return into.(interface{ CloseWrite() error }).CloseWrite() // the end of one direction passes on
		})
		if err != nil {
			scope.Cancel(err)
			break
		}
	}
	return scope.Wait()
}
