// Command scatter asks several servers the same question at once, each with its own limit, and prints the first answer and
// what became of the others. It brings its servers: a quick one, a slow one and one that hangs up.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/future"
	"github.com/ouro-io/ouro/net"
)

func main() {
	quick := server(func(c net.Conn) { fmt.Fprintln(c, "42") })
	slow := server(func(c net.Conn) { executor.Sleep(time.Minute); fmt.Fprintln(c, "43") })
	broken := server(func(net.Conn) {})
	ctx := context.Background()
	all := []*future.Future[string]{
		ask(ctx, quick).Timeout(10 * time.Second), ask(ctx, slow).Timeout(100 * time.Millisecond), ask(ctx, broken).Timeout(10 * time.Second),
	}
	// Shielded: Any cancels the losers, and here their own ends are wanted too.
	first, err := future.Any(all[0].Shield(), all[1].Shield(), all[2].Shield()).Await(ctx)
	fmt.Println("first:", first, err)
	results, _ := future.AllSettled(all...).Await(ctx)
	for i, r := range results {
		fmt.Printf("server %d: %q, %v\n", i, r.Value, r.Err)
	}
}

// ask is the future of a server's line. Its end, by Cancel or the limit, ends the Read in the engine.
func ask(ctx context.Context, addr string) *future.Future[string] {
	return future.Go(ctx, func(ctx context.Context) (string, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return "", err
		}
		defer c.Close()
		defer context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })()
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			return "", err
		}
		return line[:len(line)-1], nil
	})
}

func server(handler func(net.Conn)) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(net.Serve(l, handler)) }()
	return l.Addr().String()
}
