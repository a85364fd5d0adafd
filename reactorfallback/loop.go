//go:build linux

package reactorfallback

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

// Events says what a descriptor is ready for, or is to be watched for.
type Events uint8

const (
	// Readable: a read would not wait; also when the peer has finished sending.
	Readable Events = 1 << iota
	// Writable: a write would not wait.
	Writable
	// HangUp and Failed are reported whether asked for or not: EPOLLHUP and EPOLLERR of epoll_ctl(2). Who does not react
	// by a read or write that tells the error, or by Close, is told again and again.
	HangUp
	Failed
)

// LoopConfig configures a Loop. The zero value works.
type LoopConfig struct {
	// Events is how many descriptors one epoll_wait may report; 0 means 256, at most 65536.
	Events int
}

// Loop is the reactor pattern for code of one's own: it watches descriptors and calls a handler when one is ready. It is
// level-triggered: a handler that leaves something is called again.
//
// One goroutine at a time owns a Loop: before Run who made it, then the one that is in Run, on which all handlers are
// called. Watch, Set and Close of a Registration are for the owner; everybody else hands it a function by Post.
//
// Each registration has at most one op.Poll in flight, which its completion or a change of interest ends; so the handler
// is told of nothing that it has taken back before.
type Loop struct {
	r       *Reactor
	watched map[int]*Registration

	mu      sync.Mutex
	posted  []func()
	running bool
	closed  bool
	stop    bool
}

// ErrLoop means that a Loop is closed, or is in Run already.
var ErrLoop = errors.New("reactorfallback: the loop is closed or running already")

// ErrWatched means that a descriptor has a registration already.
var ErrWatched = errors.New("reactorfallback: the descriptor is watched already")

// NewLoop makes a Loop. Errors are those of New.
func NewLoop(c LoopConfig) (*Loop, error) {
	// It receives nothing itself, so one small buffer is enough.
	r, err := New(Config{Events: c.Events, Buffers: buffers.GroupConfig{Size: 1, Count: 1}})
	if err != nil {
		return nil, err
	}
	return &Loop{r: r, watched: map[int]*Registration{}}, nil
}

// Registration is a descriptor that a Loop watches. Its methods are for the loop's owner.
type Registration struct {
	l        *Loop
	poll     op.Op
	fd       int
	interest Events
	handler  func(*Registration, Events)
	closed   bool
	then     func()
}

// Watch has handler called whenever fd is ready for something of interest. fd should be non-blocking, so that a handler
// can read or write until EAGAIN; it stays the caller's and must be open until Close has called its function. Regular files are always
// ready.
func (l *Loop) Watch(fd int, interest Events, handler func(*Registration, Events)) (*Registration, error) {
	if handler == nil {
		return nil, errors.New("reactorfallback: Watch without a handler")
	}
	if l.isClosed() {
		return nil, ErrLoop
	}
	if l.watched[fd] != nil {
		return nil, fmt.Errorf("%w: %d", ErrWatched, fd)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return nil, fmt.Errorf("reactorfallback: Watch(%d): %w", fd, err)
	}
	g := &Registration{l: l, fd: fd, interest: interest, handler: handler}
	g.poll.Kind, g.poll.FD, g.poll.Done = op.Poll, int32(fd), g
	l.watched[fd] = g
	if err := g.arm(); err != nil {
		delete(l.watched, fd)
		return nil, err
	}
	return g, nil
}

func (l *Loop) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// FD is the descriptor.
func (g *Registration) FD() int { return g.fd }

// Loop is the loop that watches.
func (g *Registration) Loop() *Loop { return g.l }

// Set changes what the descriptor is watched for; with 0 only HangUp and Failed are told.
func (g *Registration) Set(interest Events) {
	if g.closed || interest == g.interest {
		return
	}
	g.interest = interest
	if g.poll.InFlight() {
		g.l.r.Cancel(&g.poll) // its completion arms it anew
	}
}

// Close ends the watching: the handler is not called any more. Then, from Run or from the loop's Close, then is called, if
// it is not nil: the place to close the descriptor.
func (g *Registration) Close(then func()) {
	if g.closed {
		return
	}
	g.closed, g.then = true, then
	if g.poll.InFlight() {
		g.l.r.Cancel(&g.poll)
		return
	}
	// Inside the handler: nothing is in flight, but the loop's turn has to end first.
	_ = g.l.Post(g.gone)
}

func (g *Registration) gone() {
	if g.l.watched[g.fd] == g {
		delete(g.l.watched, g.fd)
		g.l.r.Forget(g.fd)
	}
	if then := g.then; then != nil {
		g.then = nil
		then()
	}
}

// arm begins to wait.
func (g *Registration) arm() error {
	g.poll.Events = 0
	if g.interest&Readable != 0 {
		g.poll.Events |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if g.interest&Writable != 0 {
		g.poll.Events |= unix.EPOLLOUT
	}
	return g.l.r.Submit(&g.poll)
}

// Complete is called by the reactor.
func (g *Registration) Complete(_ *op.Op, c *op.Completion) {
	if g.closed {
		g.gone()
		return
	}
	var ready Events
	if c.Errno == 0 {
		for _, e := range [...]struct {
			bits uint32
			is   Events
		}{{unix.EPOLLIN | unix.EPOLLRDHUP, Readable}, {unix.EPOLLOUT, Writable}, {unix.EPOLLHUP, HangUp}, {unix.EPOLLERR, Failed}} {
			if uint32(c.Result)&e.bits != 0 {
				ready |= e.is
			}
		}
		ready &= g.interest | HangUp | Failed
	} else if c.Errno != unix.ECANCELED && c.Errno != unix.EINTR {
		ready = Failed // EBADF: it was closed behind the loop's back
	}
	if ready != 0 {
		g.handler(g, ready)
	}
	if !g.closed && !g.poll.InFlight() {
		_ = g.arm() // it fails only when the loop is closing
	}
}

// Post has f called on the loop, in the order of the calls, and wakes it. Any goroutine. It fails with ErrLoop once the
// loop is closed; f is not called then.
func (l *Loop) Post(f func()) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrLoop
	}
	l.posted = append(l.posted, f)
	first := len(l.posted) == 1
	l.mu.Unlock()
	if first {
		l.r.Wake()
	}
	return nil
}

// Run calls handlers and posted functions until ctx ends or Stop is called. It returns ctx's cause, nil after Stop, ErrLoop,
// or an error of epoll. It may be called again. A panic of a handler passes through and loses no other event.
func (l *Loop) Run(ctx context.Context) error {
	l.mu.Lock()
	if l.closed || l.running {
		l.mu.Unlock()
		return ErrLoop
	}
	l.running = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.running, l.stop = false, false
		l.mu.Unlock()
	}()
	defer context.AfterFunc(ctx, l.r.Wake)()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if stop := l.runPosted(); stop {
			return nil
		}
		if _, err := l.r.Poll(-1); err != nil {
			return err
		}
	}
}

// runPosted runs what was posted until now, and reports whether Stop was called.
func (l *Loop) runPosted() bool {
	l.mu.Lock()
	fs := l.posted
	l.posted = nil
	stop := l.stop
	l.mu.Unlock()
	for i, f := range fs {
		if f == nil {
			continue
		}
		fs[i] = nil
		l.runOne(f, fs[i+1:])
	}
	return stop
}

// runOne runs f. If it panics the rest is put back.
func (l *Loop) runOne(f func(), rest []func()) {
	returned := false
	defer func() {
		if !returned {
			l.mu.Lock()
			l.posted = append(rest[:len(rest):len(rest)], l.posted...)
			l.mu.Unlock()
			l.r.Wake()
		}
	}()
	f()
	returned = true
}

// Stop ends Run after the handlers that are under way. Any goroutine.
func (l *Loop) Stop() {
	l.mu.Lock()
	l.stop = l.running
	l.mu.Unlock()
	l.r.Wake()
}

// Close ends all registrations, calling what their Close was given, and releases the epoll set. Descriptors stay open. It
// fails with ErrLoop while Run is running. Closing again does nothing.
func (l *Loop) Close() error {
	l.mu.Lock()
	if l.running {
		l.mu.Unlock()
		return ErrLoop
	}
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.posted = nil // too late to be called
	l.mu.Unlock()
	for _, g := range l.watched {
		g.closed = true
	}
	err := l.r.Close()
	for _, g := range l.watched {
		g.gone()
	}
	return err
}
