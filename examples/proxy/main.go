// Command proxy passes TCP connections on to another address. Each connection is two coroutines, one per direction; the
// bytes are received into the engine's buffers and sent from them.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"

	"github.com/ouro-io/ouro/future"
	"github.com/ouro-io/ouro/net"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8081", "where to listen")
	to := flag.String("to", "127.0.0.1:8080", "where to pass connections on to")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Print("proxy on ", l.Addr())
	log.Fatal(net.Serve(l, func(c net.Conn) { pass(c.(*net.TCPConn), *to) }))
}

// pass serves one connection, on a coroutine, until both directions have ended.
func pass(client *net.TCPConn, to string) {
	conn, err := net.Dial("tcp", to)
	if err != nil {
		log.Print(err)
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	ctx := context.Background()
	upstream := future.Go(ctx, func(context.Context) (int64, error) { return half(server, client) })
	_, downErr := half(client, server)
	_, upErr := upstream.Await(ctx)
	if err := errors.Join(upErr, downErr); err != nil {
		log.Printf("%v: %v", client.RemoteAddr(), err)
	}
}

// half copies until the end of the stream, and passes that on. When it fails both directions end, as nobody could tell
// the peers apart from a slow one otherwise.
func half(to, from *net.TCPConn) (int64, error) {
	n, err := io.Copy(to, from)
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		from.Close()
		to.Close()
	}
	return n, err
}
