//go:build linux

package simtest

import (
	"time"

	"github.com/ouro-io/ouro/internal/simkernel"
)

// A stage has the workers of a world act by turns: one at a time runs its turn and polls, until it comes to its next Poll
// or has to wait there. Then the stage, a goroutine of its own, chooses who goes on: of those that were running, those that
// were woken, those whose operations can go on, and those whose time has come. So everything that a worker touches is
// touched by one goroutine at a time, and the order is the tape's. What is not: where a worker that the stage does not hold
// is woken by the main goroutine (shutdown) it may be chosen a turn earlier or later.
//
// States of a seat: running ─leave, rest─▶ waiting ─turn─▶ running; gone when its worker has closed the backend.
type stage struct {
	w     *world
	seats []*seat
	left  chan *seat
	woken chan struct{}
}

type seat struct {
	b         *simkernel.Backend
	turn      chan struct{}
	runnable  bool
	unlimited bool
	end       time.Time
	gone      bool
}

func newStage(w *world) *stage {
	return &stage{w: w, left: make(chan *seat), woken: make(chan struct{}, 1)}
}

func (s *stage) seat(b *simkernel.Backend) *seat {
	x := &seat{b: b, turn: make(chan struct{})}
	s.seats = append(s.seats, x)
	return x
}

// wake tells of a Wake, by whomever.
func (s *stage) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// leave gives the turn back before a Poll, and returns with the next.
func (s *stage) leave(x *seat) {
	x.runnable = true
	s.left <- x
	<-x.turn
}

// rest gives it back inside a Poll that waits.
func (s *stage) rest(b *simkernel.Backend, unlimited bool, end time.Time) {
	for _, x := range s.seats {
		if x.b == b {
			x.runnable, x.unlimited, x.end = false, unlimited, end
			s.left <- x
			<-x.turn
		}
	}
}

// run gives the turns, until all workers have gone.
func (s *stage) run() {
	for range s.seats {
		<-s.left
	}
	for {
		x := s.next()
		if x == nil {
			return
		}
		x.turn <- struct{}{}
		<-s.left
	}
}

// next chooses who acts next; it waits until somebody can. nil means that all have gone.
func (s *stage) next() *seat {
	for {
		var there, can []*seat
		unlimited, first := true, time.Time{}
		for _, x := range s.seats {
			if x.gone {
				continue
			}
			there = append(there, x)
			due := !x.runnable && !x.unlimited
			if due {
				unlimited = false
				first = earlier(first, x.end)
			}
			if x.runnable || x.b.Can() || due && !time.Now().Before(x.end) {
				can = append(can, x)
			}
		}
		switch {
		case len(there) == 0:
			return nil
		case len(can) > 0:
			return can[s.w.tape.Choose(len(can))]
		}
		again, at := s.w.idle(unlimited)
		if again {
			return there[0] // agents act in anybody's Poll
		}
		if s.await(earlier(first, at)) && !at.IsZero() && !time.Now().Before(at) {
			return there[0]
		}
	}
}

// await waits for a Wake or until the time given, if any, and reports whether that has come.
func (s *stage) await(until time.Time) bool {
	if until.IsZero() {
		<-s.woken
		return false
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-s.woken:
		return false
	case <-t.C:
		return true
	}
}

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// workerMutations are the bugs that TestSimWorkers must find.
var workerMutations = []mutation{
	{"a task that is stolen is lost", "executor/steal.go",
		"			w.ready.push(t)\n", "			_ = t\n"},
	{"a task that is made ready on another worker is lost", "executor/worker.go",
		"	w.inject(t)\n}\n", "	_ = t\n}\n"},
	{"a write on another worker's connection kicks nobody", "proactor/conn.go",
		"	return c.loop.w.Command(&c.ctl)\n}\n", "	return true\n}\n"},
	{"a coroutine that suspends where it was left behind is not taken up again", "executor/runner.go",
		"	co.commit(r.w.e)\n	return owner\n", "	if owner {\n		co.commit(r.w.e)\n	}\n	return owner\n"},
	{"a runner that was deposed goes on", "executor/runner.go",
		"	if r.state.Load()&stateMask == stateDeposed {\n		return false\n	}\n", ""},
	{"who was left behind by a hand-over has forgotten who he is", "executor/section.go",
		"			if r.actedBy(g) {\n				return r\n			}\n		}\n	}\n	return nil\n", "			if r.actedBy(g) {\n				return nil\n			}\n		}\n	}\n	return nil\n"},
}
