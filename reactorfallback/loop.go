//go:build linux

package reactorfallback

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ouro-io/ouro/buffers"
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
// What it watches is registered with the epoll set for as long as it is watched, so an event costs no system call but its
// share of an epoll_wait.
type Loop struct {
	r       *Reactor
	watched map[int]*Registration
	always  []*Registration // those of regular files, which epoll does not watch

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

// Post has f called on the loop, in the order of the calls, and wakes it. Any goroutine. It fails with ErrLoop once the
// loop is closed; f is not called then, nor when Close comes before its turn.
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
		wait := time.Duration(-1)
		if l.tellFiles() {
			wait = 0
		}
		if _, err := l.r.Poll(wait); err != nil {
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

// Stop ends Run after the handlers that are under way. Any goroutine. Where Run is not running it does nothing, not even to
// the next one: who may be earlier than Run posts Stop, or ends Run's context.
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
