// Command graceful is a server whose shutdown is the end of its scope: it stops accepting, lets each connection finish
// the request that it is at, closes by force what is not done in time, and returns when nothing is left. It shows
// executor.Scope.
//
// A request is a line; the answer is the line, after the time that -work says.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/csp"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/net"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:7007", "where to listen")
	s := server{}
	flag.DurationVar(&s.work, "work", 100*time.Millisecond, "how long a request takes")
	flag.DurationVar(&s.grace, "grace", 5*time.Second, "how long connections may go on after an interrupt")
	flag.IntVar(&s.conns, "conns", 1000, "the most connections that are served at a time")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	// The second signal ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	log.Print("serving on ", l.Addr())
	if err := s.serve(ctx, l); err != nil {
		log.Fatal(err)
	}
	log.Print("nothing is left")
}

type server struct {
	work, grace time.Duration
	conns       int
	begin       func() // told of each request; nil for nobody
}

// serve serves until ctx ends and everything that it started has ended.
func (s *server) serve(ctx context.Context, l net.Listener) error {
	config := executor.ScopeConfig{Grace: s.grace, Limit: s.conns}
	err := executor.RunScope(ctx, config, func(all *executor.Scope) error {
		if err := all.Own(l); err != nil {
			return err
		}
		return net.ServeContext(all.Context(), l, func(c net.Conn) {
			// The handler becomes a child of the scope, and waits for a place first.
			_ = all.Do(func(ctx context.Context) error {
				if err := s.connection(ctx, c); err != nil && ctx.Err() == nil {
					log.Printf("%v: %v", c.RemoteAddr(), err)
				}
				return nil // one connection's failure is not the server's
			})
		})
	})
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return nil
	}
	return err
}

// connection answers requests in a scope of its own, which owns the connection and the context of its requests, and so ends
// both by force when the time of grace is over.
func (s *server) connection(ctx context.Context, c net.Conn) error {
	return executor.RunScope(ctx, executor.ScopeConfig{Grace: s.grace}, func(one *executor.Scope) error {
		if err := one.Own(c); err != nil {
			return err
		}
		work, end := context.WithCancel(context.Background())
		if err := one.Own(closer(end)); err != nil {
			return err
		}
		in, err := csp.FromConn(one, c, csp.Lines(1<<16), 1)
		if err != nil {
			return err
		}
		return one.Go(func(ctx context.Context) error {
			for {
				line, err := in.RecvContext(ctx)
				if err != nil {
					return nil // the client has left, or the server ends: between requests
				}
				if s.begin != nil {
					s.begin()
				}
				if err := executor.SleepContext(work, s.work); err != nil {
					return err
				}
				if _, err := c.Write(append(line, '\n')); err != nil {
					return err
				}
			}
		})
	})
}

// closer has a scope end a context as it closes a connection.
type closer context.CancelFunc

func (end closer) Close() error {
	end()
	return nil
}
