package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrScopeEnded means that a Scope takes no more children because it was cancelled or has ended. Where the body of
// RunScope or a child returns it, Wait tells why the scope was cancelled.
var ErrScopeEnded = errors.New("executor: the scope was cancelled or has ended, and starts nothing any more")

const (
	defaultGrace = 10 * time.Second
	// MaxScopeLimit is the most that ScopeConfig.Limit may be.
	MaxScopeLimit = 1 << 30
)

// ScopeConfig configures a Scope. The zero value works.
type ScopeConfig struct {
	// Executor runs the children. nil means that of the coroutine that makes the scope; on an ordinary goroutine
	// the children are ordinary goroutines then.
	Executor *Executor
	// Goroutines makes all children ordinary goroutines: for code that locks its thread or blocks all the time.
	Goroutines bool
	// Limit is the number of children that may run at the same time; Go waits for a place. 0 means no limit; at
	// most MaxScopeLimit.
	Limit int
	// Grace is how long children may go on after the scope was cancelled before what it owns is closed under them,
	// and how long the functions given to Defer have. 0 means 10 s, < 0 none.
	Grace time.Duration
	// Timeout cancels the scope with context.DeadlineExceeded, by the executor's timers where there is an executor.
	// 0 means never; it must not be negative.
	Timeout time.Duration
	// KeepGoing lets the other children go on when one fails. Wait returns all errors, joined.
	KeepGoing bool
}

// Child describes a child of a Scope. The zero value is a coroutine of normal priority on the next worker in turn.
type Child struct {
	// Priority is the coroutine's.
	Priority Priority
	// Goroutine makes it an ordinary goroutine.
	Goroutine bool
	// Worker is where it runs; nil means the next worker in turn.
	Worker *Worker
	// Budget is the coroutine's: see Spawn.Budget.
	Budget int
}

// Scope is a group of coroutines and goroutines that ends as a whole (structured concurrency): nothing that was started
// in it outlives its Wait.
//
// Life, under mu: open → cancelled (the first error of a child, Cancel, the end of the parent context, the timeout;
// open scopes with a Wait skip it) → closing (all children have ended, or were cancelled and have used up their grace)
// → ended (all children have ended, everything is closed). In closing, what the scope owns is closed in reverse order
// by the one Wait that came first; that ends children which are stuck in a Read of a connection that the scope owns,
// say. A child that never ends holds Wait up for ever: nothing is abandoned.
//
// All methods are safe from any goroutine or coroutine. Wait must not be called by a child of the same scope.
type Scope struct {
	config ScopeConfig
	ctx    context.Context
	cancel context.CancelCauseFunc
	parent context.Context
	unhook func() bool // of cancelled from ctx
	timer  *Alarm

	mu        sync.Mutex
	phase     scopePhase
	running   int
	failed    []error // the first, or all with KeepGoing
	graceOver bool
	grace     *Alarm
	closers   []func(context.Context) error // from scopeClosing on nothing is added, and only who closes touches it
	closing   []error                       // what they returned
	places    []*placeWaiter                // in Go, for a place below the limit
	waiting   []*Waiter                     // in Wait
	result    error
}

type scopePhase uint8

const (
	scopeOpen scopePhase = iota
	scopeClosing
	scopeEnded
)

// placeWaiter waits in Go. It is granted a place, or taken out by the end of the scope, under mu.
type placeWaiter struct {
	waiter Waiter
	queued bool
}

// NewScope makes a scope whose children get a context that ends with ctx, and whose Wait must be called. It fails when
// a value of c is out of its limits.
func NewScope(ctx context.Context, c ScopeConfig) (*Scope, error) {
	if c.Limit < 0 || c.Limit > MaxScopeLimit {
		return nil, fmt.Errorf("executor: ScopeConfig.Limit is %d: use 0 for none or 1 to %d", c.Limit, MaxScopeLimit)
	}
	if c.Timeout < 0 {
		return nil, fmt.Errorf("executor: ScopeConfig.Timeout is %v: use 0 for none or a positive time", c.Timeout)
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	if c.Executor == nil {
		if co := Current(); co != nil {
			c.Executor = co.home.e
		}
	}
	s := &Scope{config: c, parent: ctx}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.unhook = context.AfterFunc(s.ctx, s.cancelled)
	if c.Timeout > 0 {
		s.timer = s.after(c.Timeout, func() { s.cancel(context.DeadlineExceeded) })
	}
	return s, nil
}

// RunScope makes a scope, calls body with it, and waits for its end. An error or a panic of body cancels the scope; the
// error is RunScope's, as a child's would be.
func RunScope(ctx context.Context, c ScopeConfig, body func(*Scope) error) (err error) {
	s, err := NewScope(ctx, c)
	if err != nil {
		return err
	}
	ended := false
	defer func() {
		// Also when body has called runtime.Goexit: its children must not outlive it.
		if !ended {
			s.fail(ErrGoexit)
		}
		err = s.Wait()
	}()
	if e := contained(func() error { return body(s) }); e != nil {
		s.fail(e)
	}
	ended = true
	return nil
}

// Context is the context that children get: it ends when the scope is cancelled, and when it has ended.
func (s *Scope) Context() context.Context { return s.ctx }

// Cancel ends the context of the children, with cause, and lets Wait close what the scope owns after the time of grace.
// Wait returns cause unless a child fails by an error of its own; nil stands for a cancellation that is no error (a server that is
// told to stop). Only the first Cancel counts.
func (s *Scope) Cancel(cause error) { s.cancel(cause) }

// Go starts fn as a child. With a limit it waits for a place. It returns ErrScopeEnded when the scope was cancelled or
// has ended, and what Worker.Start returns; fn is not called then.
func (s *Scope) Go(fn func(ctx context.Context) error) error { return s.GoAs(Child{}, fn) }

// GoAs is Go with a description of the child.
func (s *Scope) GoAs(c Child, fn func(ctx context.Context) error) error {
	c.check(fn)
	if err := s.enter(true); err != nil {
		return err
	}
	return s.launch(c, fn)
}

// TryGo is Go that does not wait for a place: it reports false when there is none.
func (s *Scope) TryGo(fn func(ctx context.Context) error) (bool, error) {
	Child{}.check(fn)
	err := s.enter(false)
	if err == errNoPlace {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = s.launch(Child{}, fn)
	return err == nil, err
}

// Do runs fn on the caller as a child: Wait waits for it, and its error is a child's. It makes what somebody else has
// started (a handler of net.Serve) a part of the scope. It returns fn's error, or ErrScopeEnded.
func (s *Scope) Do(fn func(ctx context.Context) error) error {
	if err := s.enter(true); err != nil {
		return err
	}
	err := ErrGoexit
	defer func() { s.leave(err) }()
	err = contained(func() error { return fn(s.ctx) })
	return err
}

// check panics before the child is counted: a count that nobody takes back would hold up Wait.
func (c Child) check(fn func(ctx context.Context) error) {
	if fn == nil {
		panic("executor: a child of a Scope without a function to run")
	}
	if c.Priority >= priorities {
		panic("executor: a child of a Scope with an unknown Priority")
	}
}

var errNoPlace = errors.New("no place")

// enter counts one more child.
func (s *Scope) enter(wait bool) error {
	s.mu.Lock()
	if s.phase != scopeOpen || s.ctx.Err() != nil {
		s.mu.Unlock()
		return ErrScopeEnded
	}
	if s.config.Limit == 0 || s.running < s.config.Limit {
		s.running++
		s.mu.Unlock()
		return nil
	}
	if !wait {
		s.mu.Unlock()
		return errNoPlace
	}
	p := &placeWaiter{queued: true}
	p.waiter.Prepare()
	s.places = append(s.places, p)
	s.mu.Unlock()
	err := p.waiter.WaitContext(s.ctx, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.withdraw(p)
	})
	if err != nil {
		return ErrScopeEnded
	}
	return nil
}

func (s *Scope) withdraw(p *placeWaiter) bool {
	if !p.queued {
		return false
	}
	p.queued = false
	for i, q := range s.places {
		if q == p {
			s.places = append(s.places[:i], s.places[i+1:]...)
			break
		}
	}
	return true
}

// child is a running child.
type child struct {
	co  Coroutine
	s   *Scope
	fn  func(context.Context) error
	err error
}

func (c *child) run() { c.err = c.fn(c.s.ctx) }

func (c *child) exit(err error) {
	if err == nil {
		err = c.err
	}
	c.s.leave(err)
}

func (s *Scope) launch(how Child, fn func(context.Context) error) error {
	e := s.config.Executor
	if how.Worker != nil {
		e = how.Worker.e
	}
	if e == nil {
		go func() {
			err := ErrGoexit
			defer func() { s.leave(err) }()
			err = contained(func() error { return fn(s.ctx) })
		}()
		return nil
	}
	w := how.Worker
	if w == nil {
		w = e.inTurn()
	}
	c := &child{s: s, fn: fn}
	err := w.Start(&c.co, Spawn{Run: c.run, Exit: c.exit, Priority: how.Priority, Budget: how.Budget,
		Goroutine: how.Goroutine || s.config.Goroutines})
	if err != nil {
		s.leave(nil)
	}
	return err
}

// leave is the end of a child. Its place goes to the first that waits for one.
func (s *Scope) leave(err error) {
	if err != nil {
		s.fail(err)
	}
	s.mu.Lock()
	var next *placeWaiter
	if len(s.places) > 0 && s.ctx.Err() == nil {
		next = s.places[0]
		s.places = s.places[1:]
		next.queued = false
	} else {
		s.running--
	}
	wake := s.takeWaiting(s.running == 0)
	s.mu.Unlock()
	if next != nil {
		next.waiter.Wake()
	}
	wakeAll(wake)
}

// fail notes an error of a child, and cancels the scope.
func (s *Scope) fail(err error) {
	s.mu.Lock()
	// What a child returns because the scope was cancelled says nothing that the scope does not know.
	// A panic is never that, whatever its value.
	var panicked *PanicError
	echo := s.ctx.Err() != nil && !errors.As(err, &panicked) && (errors.Is(err, context.Canceled) ||
		errors.Is(err, ErrScopeEnded) || errors.Is(err, context.Cause(s.ctx)))
	if !echo && (s.config.KeepGoing || len(s.failed) == 0) {
		s.failed = append(s.failed, err)
	}
	s.mu.Unlock()
	if !s.config.KeepGoing {
		s.cancel(err)
	}
}

// cancelled runs when the context has ended: the time of grace begins.
func (s *Scope) cancelled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == scopeEnded {
		return
	}
	if s.config.Grace > 0 {
		s.grace = s.after(s.config.Grace, s.endGrace)
		return
	}
	s.graceOver = true
	go s.endGrace()
}

func (s *Scope) endGrace() {
	s.mu.Lock()
	s.graceOver = true
	wake := s.takeWaiting(true)
	s.mu.Unlock()
	wakeAll(wake)
}

func (s *Scope) takeWaiting(take bool) []*Waiter {
	if !take {
		return nil
	}
	all := s.waiting
	s.waiting = nil
	return all
}

func wakeAll(ws []*Waiter) {
	for _, w := range ws {
		w.Wake()
	}
}

// after calls f at a time of the executor's clock, if there is an executor.
func (s *Scope) after(d time.Duration, f func()) *Alarm {
	a := &Alarm{call: f}
	if e := s.config.Executor; e != nil {
		a.on(e.inTurn(), d)
	} else {
		a.std = time.AfterFunc(d, a.ring)
	}
	return a
}

// Own has c closed when the scope ends: the last that was given to Own or Defer first. When the scope is ending already
// c is closed at once, and ErrScopeEnded returned with what Close returned.
func (s *Scope) Own(c io.Closer) error {
	return s.Defer(func(context.Context) error { return c.Close() })
}

// Defer has f called when the scope ends, as Own has c closed. f gets a context that ends after the time of grace and
// not with the scope's. A panic in f is an error, and so is a runtime.Goexit, which also ends who called Wait.
func (s *Scope) Defer(f func(ctx context.Context) error) error {
	if f == nil {
		panic("executor: Scope.Defer without a function to call")
	}
	s.mu.Lock()
	if s.phase == scopeOpen {
		s.closers = append(s.closers, f)
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	return errors.Join(ErrScopeEnded, s.runCloser(f))
}
