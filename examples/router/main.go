// Command router answers requests in the order of their urgency. It shows SelectPriority, bounded queues that refuse
// instead of growing, and replies by csp.Oneshot.
//
// A request is a line: "urgent TEXT", "normal TEXT" or "bulk TEXT". The answer is a line, in the order of the
// connection's requests.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/ouro-io/ouro/csp"
	"github.com/ouro-io/ouro/executor"
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
	log.Print("router on ", l.Addr())
	r := newRouter(256, func(text string) string { return strings.ToUpper(text) })
	if err := r.serve(ctx, l, 2); err != nil {
		log.Fatal(err)
	}
}

// The classes, most urgent first.
var classes = []string{"urgent", "normal", "bulk"}

// fairEvery is the starvation bound: of so many requests one is taken without regard to urgency.
const fairEvery = 16

type request struct {
	text  string
	reply *csp.Oneshot[string]
}

type router struct {
	queues []*csp.Chan[request] // per class
	work   func(string) string
}

// newRouter makes a router whose queues hold so many requests each.
func newRouter(room int, work func(string) string) *router {
	r := &router{work: work}
	for range classes {
		r.queues = append(r.queues, csp.New[request](room))
	}
	return r
}

// serve accepts connections until ctx ends, with so many workers that answer requests.
func (r *router) serve(ctx context.Context, l net.Listener, workers int) error {
	err := executor.RunScope(ctx, executor.ScopeConfig{}, func(s *executor.Scope) error {
		if err := s.Own(l); err != nil {
			return err
		}
		for range workers {
			if err := s.Go(r.answer); err != nil {
				return err
			}
		}
		return net.ServeContext(s.Context(), l, func(c net.Conn) {
			_ = s.Do(func(ctx context.Context) error {
				if err := r.client(ctx, c); err != nil && ctx.Err() == nil {
					log.Printf("%v: %v", c.RemoteAddr(), err)
				}
				return nil
			})
		})
	})
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return nil
	}
	return err
}

// answer answers requests until ctx ends.
func (r *router) answer(ctx context.Context) error {
	var q request
	cases := make([]csp.Case, len(r.queues))
	for i, c := range r.queues {
		cases[i] = csp.Recv(c, &q)
	}
	for n := 1; ; n++ {
		choose := csp.SelectPriority
		if n%fairEvery == 0 {
			choose = csp.Select
		}
		if _, err := choose(ctx, cases...); err != nil {
			return nil
		}
		_ = q.reply.Send(r.work(q.text))
	}
}

// client reads requests and writes their answers in order; up to 16 are under way at a time.
func (r *router) client(ctx context.Context, c net.Conn) error {
	return executor.RunScope(ctx, executor.ScopeConfig{}, func(s *executor.Scope) error {
		in, err := csp.FromConn(s, c, csp.Lines(1<<16), 4)
		if err != nil {
			return err
		}
		out, err := csp.ToConn(s, c, csp.Lines(1<<16), 4)
		if err != nil {
			return err
		}
		underWay := csp.New[*csp.Oneshot[string]](16)
		if err := s.Go(func(ctx context.Context) error {
			defer out.Close()
			for reply := range underWay.Range() {
				text, err := reply.RecvContext(ctx)
				if err != nil || out.SendContext(ctx, []byte(text)) != nil {
					return nil
				}
			}
			return nil
		}); err != nil {
			return err
		}
		defer underWay.Close()
		for line := range in.Range() {
			if underWay.SendContext(s.Context(), r.submit(string(line))) != nil {
				return nil
			}
		}
		return nil
	})
}

// submit queues a request. It never waits: a full queue is an answer too.
func (r *router) submit(line string) *csp.Oneshot[string] {
	reply := new(csp.Oneshot[string])
	class, text, _ := strings.Cut(line, " ")
	for i, name := range classes {
		if name != class {
			continue
		}
		if r.queues[i].TrySend(request{text, reply}) != nil {
			_ = reply.Send("busy: too many " + class + " requests wait")
		}
		return reply
	}
	_ = reply.Send("what is " + class + "? Say urgent, normal or bulk first")
	return reply
}
