package actor

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/ouro-io/ouro/executor"
)

// Config configures a System. The zero value works.
type Config struct {
	// Executor runs the actors. With that of an engine (proactor.Engine.Executor) connections and actors share its
	// workers. nil means one of its own, which ends with the system.
	Executor *executor.Executor
	// Supervision is for the actors at the top. What it escalates stops the actor and is told to GaveUp.
	Supervision Supervision
	// DeadLetter is told of each message that reached nobody, on the goroutine that notices, possibly several at a time. It
	// must be short and must not wait. nil: they are counted only.
	DeadLetter func(DeadLetter)
	// GaveUp is told, likewise, of an actor that is stopped because its failures were escalated to the top, or because New
	// keeps failing while it drains. nil means the standard logger.
	GaveUp func(path string, err error)
}

// DeadLetter is a message that reached nobody.
type DeadLetter struct {
	// To is the path of the actor.
	To      string
	Message any
	// Why is ErrMailboxFull or wraps ErrStopped.
	Why error
}

// Stats counts what a system did. But for Actors all values only grow.
type Stats struct {
	Actors                          int
	DeadLetters, Failures, Restarts uint64
}

// System is a tree of actors. All methods are safe from any goroutine, but not on an actor of the system for Shutdown.
type System struct {
	config Config
	exec   *executor.Executor
	own    bool
	root   *actor[struct{}]

	mu     sync.Mutex
	byPath map[string]*cell
	turn   int
	unique int

	deadLetters, failures, restarts atomic.Uint64
}

// NewSystem makes a system. It fails when a value of c makes no sense or the executor cannot be made.
func NewSystem(c Config) (*System, error) {
	if err := c.Supervision.fill(); err != nil {
		return nil, err
	}
	s := &System{config: c, exec: c.Executor, byPath: map[string]*cell{}}
	if s.exec == nil {
		e, err := executor.New(executor.Config{})
		if err != nil {
			return nil, err
		}
		s.exec, s.own = e, true
	}
	root := &actor[struct{}]{props: Props[struct{}]{New: func(*Context[struct{}]) (Behavior[struct{}], error) {
		return func(*Context[struct{}], struct{}) error { return nil }, nil
	}}}
	root.c = Context[struct{}]{root}
	root.bound, root.body, root.supervision = 1, root, c.Supervision
	root.system, root.home, root.watchers = s, s.exec.Workers()[0], map[*watch]struct{}{}
	root.ctx, root.cancel = context.WithCancel(context.Background())
	s.root = root
	if err := root.launch(false); err != nil {
		if s.own {
			_ = s.exec.Shutdown(context.Background())
		}
		return nil, fmt.Errorf("actor: %w", err)
	}
	return s, nil
}

func (s *System) parentCell() *cell { return &s.root.cell }

// adopt gives a new cell its place. children of the root are listed from any goroutine, so that list is changed under the
// system's mu; the actor itself reads it on its own coroutine, by way of notes.
func (s *System) adopt(parent, c *cell, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" {
		name = s.freeName(parent)
	}
	c.system, c.parent, c.name, c.path = s, parent, name, parent.path+"/"+name
	if _, taken := s.byPath[c.path]; taken {
		return fmt.Errorf("%w: %s is taken", ErrName, c.path)
	}
	c.watchers = map[*watch]struct{}{}
	ws := s.exec.Workers()
	c.home = ws[s.turn%len(ws)]
	s.turn++
	parent.mu.Lock()
	defer parent.mu.Unlock()
	if parent.barren {
		return parent.stoppedError()
	}
	c.ctx, c.cancel = context.WithCancel(parent.ctx)
	parent.children.add(c)
	s.byPath[c.path] = c
	return nil
}

// freeName makes up a name that no child of parent has. mu is held.
func (s *System) freeName(parent *cell) string {
	for {
		s.unique++
		name := "$" + strconv.Itoa(s.unique)
		if _, taken := s.byPath[parent.path+"/"+name]; !taken {
			return name
		}
	}
}

// disown takes back an adopt.
func (s *System) disown(c *cell) {
	c.cancel()
	s.forget(c)
	c.parent.send(note{kind: noteEnded, child: c})
}

// forget takes a cell out of the registry.
func (s *System) forget(c *cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byPath, c.path)
}

// Lookup finds an actor by its path, such as /users/anna. It fails with ErrName when there is none, or when it takes
// other messages.
func Lookup[M any](s *System, path string) (Ref[M], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.byPath[path]
	if !ok {
		return Ref[M]{}, fmt.Errorf("%w: there is no %s", ErrName, path)
	}
	a, ok := c.body.(*actor[M])
	if !ok {
		return Ref[M]{}, fmt.Errorf("%w: %s takes other messages", ErrName, path)
	}
	return Ref[M]{a}, nil
}

// Stats returns the counters.
func (s *System) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{len(s.byPath), s.deadLetters.Load(), s.failures.Load(), s.restarts.Load()}
}

// Shutdown drains all actors, parents before their children, and waits for the end. Failures are decided about as ever; but
// a restart of an actor for which nothing waits any more is its end (the message of a timer or of a watch counts as something),
// and so is it when its New has failed ten times. When ctx ends first they are stopped: the contexts of their handlers end, and messages that wait become dead letters. It then still waits, since an actor's
// handler is never abandoned, and returns ctx's cause. It must not be called on an actor of the system.
func (s *System) Shutdown(ctx context.Context) error {
	s.root.send(note{kind: noteDrain})
	_, err := s.root.end.Future().Shield().Await(ctx)
	if err != nil {
		s.root.halt()
		_, _ = s.root.end.Future().Shield().Await(context.Background())
	}
	if s.own {
		err = errors.Join(err, s.exec.Shutdown(context.WithoutCancel(ctx)))
	}
	return err
}

func (s *System) deadLetter(to string, m any, why error) {
	s.deadLetters.Add(1)
	if s.config.DeadLetter != nil {
		s.config.DeadLetter(DeadLetter{to, m, why})
	}
}

// gaveUp reports an actor that nobody could help.
func (s *System) gaveUp(c *cell, err error) {
	if s.config.GaveUp != nil {
		s.config.GaveUp(c.path, err)
		return
	}
	log.Printf("actor: %s is stopped: %v", c.path, err)
}
