// Command workers is a tree of supervised actors: a pool hands jobs to its workers, some jobs make their worker fail, and
// the pool restarts it while the others go on. A job that fails is answered with an error by nobody, so who asked uses a
// limit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/ouro-io/ouro/actor"
	"github.com/ouro-io/ouro/future"
)

type job struct {
	n     int
	reply actor.Reply[int]
}

func main() {
	limit := flag.Duration("limit", 2*time.Second, "how long to wait for an answer")
	flag.Parse()
	system, err := actor.NewSystem(actor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	pool, err := actor.Spawn(system, actor.Props[job]{
		Name:        "pool",
		Supervision: actor.Supervision{MaxRestarts: 100},
		New: func(c *actor.Context[job]) (actor.Behavior[job], error) {
			var workers []actor.Ref[job]
			for i := range 4 {
				w, err := actor.Spawn(c, actor.Props[job]{Name: fmt.Sprint("worker", i), New: worker})
				if err != nil {
					return nil, err
				}
				workers = append(workers, w)
			}
			return func(_ *actor.Context[job], j job) error { return workers[j.n%len(workers)].Tell(j) }, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	var answers []*future.Future[int]
	for n := range 40 {
		answers = append(answers, actor.Ask(pool, *limit, func(r actor.Reply[int]) job { return job{n, r} }))
	}
	results, _ := future.AllSettled(answers...).Await(context.Background())
	good := 0
	for _, r := range results {
		if r.Err == nil {
			good++
		}
	}
	s := system.Stats()
	fmt.Printf("%d jobs done, %d failed, %d restarts\n", good, s.Failures, s.Restarts)
	if err := system.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// worker keeps a state of its own, which a restart makes anew.
func worker(*actor.Context[job]) (actor.Behavior[job], error) {
	done := map[int]int{}
	return func(_ *actor.Context[job], j job) error {
		if j.n%10 == 9 {
			return errors.New("a bad job")
		}
		done[j.n] = j.n * j.n
		j.reply.Send(done[j.n])
		return nil
	}, nil
}
