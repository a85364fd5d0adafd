// Command pipeline reads numbers, a line each, from its connections, looks each up several at a time, and answers in order.
// Every stage is bounded, so a client that does not read its answers is not read from any more: its own sends stop.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"strconv"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/stream"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:7011", "where to listen")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Print("pipeline on ", l.Addr())
	log.Fatal(net.Serve(l, func(c net.Conn) {
		if err := serve(context.Background(), c); err != nil {
			log.Print(err)
		}
	}))
}

func serve(ctx context.Context, c net.Conn) error {
	lines := stream.Lines(stream.Read(c), 64)
	// The line is borrowed, so the number is taken out of it before anything is kept.
	numbers := stream.Try(lines, func(_ context.Context, line []byte) (int, error) { return strconv.Atoi(string(line)) })
	answers := stream.MapConcurrent(numbers, 8, lookUp)
	frames := stream.Map(answers, func(s string) []byte { return []byte(s) })
	// Gather makes few large writes of many small answers.
	_, err := stream.Write(ctx, stream.Gather(stream.WithDelimiter(frames, '\n'), 16<<10), c)
	return err
}

// lookUp stands for a call to a database.
func lookUp(_ context.Context, n int) (string, error) {
	executor.Yield()
	return fmt.Sprintf("%d squared is %d", n, n*n), nil
}
