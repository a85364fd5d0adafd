// Command chat is a chat server: what one client writes, all get. It shows csp.Broadcast, Select, and frames over
// connections.
//
// The first line of a client is its name. A client that reads too slowly holds nobody up: it is told how many lines it
// has missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/ouro-io/ouro/csp"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/locks"
	"github.com/ouro-io/ouro/net"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:7007", "where to listen")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.Print("chat on ", l.Addr())
	if err := newRoom(64).serve(ctx, l); err != nil {
		log.Fatal(err)
	}
}

const longestLine = 4096

// room is what all clients share.
type room struct {
	lines   *csp.Broadcast[string]
	clients locks.WaitGroup
}

// newRoom makes a room that keeps so many lines for slow clients.
func newRoom(keep int) *room {
	return &room{lines: csp.NewBroadcast[string](csp.BroadcastConfig{Capacity: keep, Lag: csp.LagFail})}
}

// serve serves until ctx ends, and then waits for the clients' handlers.
func (r *room) serve(ctx context.Context, l net.Listener) error {
	err := net.ServeContext(ctx, l, func(c net.Conn) {
		r.clients.Add(1)
		defer r.clients.Done()
		if err := r.client(ctx, c); err != nil && ctx.Err() == nil {
			log.Printf("%v: %v", c.RemoteAddr(), err)
		}
	})
	r.clients.Wait()
	if ctx.Err() != nil {
		return l.Close()
	}
	return err
}

// client is the handler of a connection, a coroutine. The scope has two more, which read and write.
func (r *room) client(ctx context.Context, c net.Conn) error {
	return executor.RunScope(ctx, executor.ScopeConfig{}, func(s *executor.Scope) error {
		in, err := csp.FromConn(s, c, csp.Lines(longestLine), 4)
		if err != nil {
			return err
		}
		out, err := csp.ToConn(s, c, csp.Lines(2*longestLine), 4)
		if err != nil {
			return err
		}
		defer out.Close()
		name, err := in.RecvContext(s.Context())
		if err != nil {
			return nil // it left without a name
		}
		return r.talk(s.Context(), string(name), in, out)
	})
}

// talk passes lines both ways until the client leaves.
func (r *room) talk(ctx context.Context, name string, in, out *csp.Chan[[]byte]) error {
	all := r.lines.Subscribe()
	defer all.Close()
	r.lines.Send("* " + name + " is here")
	defer func() { r.lines.Send("* " + name + " has left") }()
	var said []byte
	var line string
	for {
		which, err := csp.Select(ctx, csp.Recv(in, &said), all.Case(&line))
		var missed *csp.LagError
		switch {
		case errors.As(err, &missed):
			line = fmt.Sprintf("* you have missed %d lines", missed.Missed)
		case err != nil:
			return nil // the client or the server ends
		case which == 0:
			r.lines.Send(name + ": " + string(said))
			continue
		}
		if err := out.SendContext(ctx, []byte(line)); err != nil {
			return nil
		}
	}
}
