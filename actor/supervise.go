package actor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/routine"
)

// Directive is what becomes of an actor that has failed.
type Directive uint8

const (
	// Restart makes its state anew by New; the mailbox stays, the message that it failed at does not come again.
	Restart Directive = iota
	// Resume lets it go on with its next message and its present state. Where New has failed there is none: it is a Restart.
	Resume
	// Stop ends it.
	Stop
	// Escalate fails the parent. What is decided about that holds for the child too: they are resumed together, and a restart
	// or stop of the parent ends the child.
	Escalate
)

// Strategy is whom a Restart concerns.
type Strategy uint8

const (
	// OneForOne restarts the actor that has failed.
	OneForOne Strategy = iota
	// OneForAll restarts it and all of its siblings: for those that make no sense without each other.
	OneForAll
)

// Supervision is how an actor deals with the failures of its children: errors that they return, and panics. The zero value
// restarts the child at once, and escalates when that happens more than 10 times in a minute.
type Supervision struct {
	Strategy Strategy
	// MaxRestarts is how many restarts there may be Within; one more is an Escalate. 0 means 10, < 0 without limit.
	MaxRestarts int
	// Within is the time that MaxRestarts is about; 0 means a minute.
	Within time.Duration
	// Backoff is the pause before a restart: none when 0. Each further failure Within doubles it, up to MaxBackoff (0 means
	// 100 times Backoff), and each pause is random between half and all of that.
	Backoff, MaxBackoff time.Duration
	// Decide chooses by the error; nil means Restart for all. It runs on the parent's coroutine.
	Decide func(child string, err error) Directive
}

func (s *Supervision) fill() error {
	if s.MaxRestarts == 0 {
		s.MaxRestarts = 10
	}
	if s.Within == 0 {
		s.Within = time.Minute
	}
	if s.MaxBackoff == 0 {
		s.MaxBackoff = 100 * max(s.Backoff, 0)
	}
	switch {
	case s.Strategy > OneForAll:
		return fmt.Errorf("actor: Supervision.Strategy %d is unknown", s.Strategy)
	case s.Within < 0:
		return fmt.Errorf("actor: Supervision.Within is %v, and must not be negative", s.Within)
	case s.Backoff < 0 || s.MaxBackoff < s.Backoff:
		return fmt.Errorf("actor: Supervision.Backoff is %v and MaxBackoff %v: not negative, and Max not below", s.Backoff, s.MaxBackoff)
	}
	return nil
}

// failure is one failure of an actor. The verdict of Resume names it, so that a late one does not wake an actor that has
// begun anew, or failed again, since.
type failure struct {
	of     *cell
	err    error
	unborn bool       // in New: there is no state to go on with
	below  []*failure // those of children, which are escalated by this one; of's own
}

// fail suspends the actor and reports to its parent.
func (c *cell) fail(err error) { c.failBy(&failure{of: c, err: err, unborn: c.unborn}) }

func (c *cell) failBy(f *failure) {
	c.system.failures.Add(1)
	if c.parent == nil { // the root has no state that could be wrong
		return
	}
	c.suspended = true
	c.failed = f
	c.parent.send(note{kind: noteFailed, failure: f})
}

// resume handles the verdict that c goes on, and passes it on to the children whose failure it was.
func (c *cell) resume(f *failure) {
	if c.failed == f {
		c.failed = nil
		c.suspended = false
	}
	for _, b := range f.below {
		b.of.send(note{kind: noteResume, failure: b})
	}
}

// judge decides about a child that has failed. It runs on the parent.
func (c *cell) judge(f *failure) {
	s := &c.supervision
	child, err := f.of, f.err
	d := Restart
	if s.Decide != nil {
		if bad := routine.Catch(func() error {
			d = s.Decide(child.path, err)
			return nil
		}, func(bad error) { c.escalate(f, errors.Join(err, bad)) }); bad != nil { // nobody else will help the child
			d, err = Escalate, errors.Join(err, bad)
		}
	}
	if d == Resume && f.unborn {
		d = Restart
	}
	if d == Restart && !c.mayRestart() {
		err = fmt.Errorf("%d restarts within %v: %w", s.MaxRestarts, s.Within, err)
		d = Escalate
	}
	switch d {
	case Resume:
		child.send(note{kind: noteResume, failure: f})
	case Stop:
		child.halt()
	case Restart:
		c.restart(child)
	default:
		c.escalate(f, err)
	}
}

// escalate fails c by the failure of a child. One event may fail many children: while c's own failure is not decided about,
// theirs are a part of it, so that it costs one restart. (Not one in New, which a Resume would have to make a Restart.)
func (c *cell) escalate(f *failure, err error) {
	switch {
	case c.parent == nil: // nobody is left to ask
		f.of.halt()
		c.system.gaveUp(f.of, err)
	case c.failed != nil && !f.unborn:
		c.failed.below = append(c.failed.below, f)
	default:
		c.failBy(&failure{c, fmt.Errorf("%s: %w", f.of.path, err), f.unborn, []*failure{f}})
	}
}

// mayRestart counts a restart, and reports whether that is within the limit.
func (c *cell) mayRestart() bool {
	now := time.Now()
	recent := c.restarts[:0]
	for _, t := range c.restarts {
		if now.Sub(t) < c.supervision.Within {
			recent = append(recent, t)
		}
	}
	c.failures = len(recent)
	if m := c.supervision.MaxRestarts; m >= 0 && len(recent) >= m {
		c.restarts = recent
		return false
	}
	if c.supervision.MaxRestarts >= 0 || len(recent) < 64 { // which is enough for any backoff
		recent = append(recent, now)
	}
	c.restarts = recent
	return true
}

// restart restarts the child, or all, after the pause.
func (c *cell) restart(child *cell) {
	targets := []*cell{child}
	if c.supervision.Strategy == OneForAll {
		targets = c.family()
	}
	pause := c.supervision.Backoff
	for range c.failures {
		if pause = min(2*pause, c.supervision.MaxBackoff); pause == c.supervision.MaxBackoff {
			break
		}
	}
	if pause <= 0 {
		for _, x := range targets {
			x.send(note{kind: noteRestart})
		}
		return
	}
	r := &later{targets: targets}
	r.Init(c.home, r)
	r.Set(c.home.Now() + int64(pause/2) + rand.Int64N(int64(pause/2)+1))
}

// later restarts actors after a pause. One that has ended meanwhile does not read the note.
type later struct {
	executor.Timer
	targets []*cell
}

// OnTimer is called by the worker.
func (r *later) OnTimer(*executor.Worker, *executor.Timer) {
	for _, x := range r.targets {
		x.send(note{kind: noteRestart})
	}
}
