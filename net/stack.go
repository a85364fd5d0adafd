//go:build linux

package net

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// Stack is the package's functions bound to one engine. All methods are safe from any goroutine.
type Stack struct {
	fixed  *proactor.Engine // nil: the default engine, started when it is first needed
	policy modePolicy
	shared atomic.Bool // more than one P was seen
}

// modePolicy says where connections of ordinary goroutines live. Tests force it.
type modePolicy uint8

const (
	modeByMeasurement modePolicy = iota
	modeEngine
	modeRuntime
)

// defaultStack is what the package-level functions use.
var defaultStack = &Stack{}

// On returns the package's functions bound to e instead of proactor.Default. The engine must not be nil.
func On(e *proactor.Engine) *Stack {
	if e == nil {
		panic("net: On(nil): give an engine, or use the package-level functions for the default one")
	}
	return &Stack{fixed: e}
}

// engine returns the engine, and starts the default one if need be.
func (s *Stack) engine() (*proactor.Engine, error) {
	if s.fixed != nil {
		return s.fixed, nil
	}
	return proactor.Default()
}

// onEngine decides whether a connection that the caller has just got from Dial or Accept begins its life on the engine: a
// coroutine's does, since only there an operation suspends. Others begin in runtime mode, and move when a coroutine first
// uses them, or when they are used for longer and the engine is quicker.
func (s *Stack) onEngine(onCoroutine bool) bool {
	if s.policy != modeByMeasurement {
		return s.policy == modeEngine
	}
	return onCoroutine
}

// quicker reports whether the engine serves a TCP connection of ordinary goroutines with less CPU than the runtime's
// poller. It was measured (64 B echo, 64 connections): with one P the ring's batches need 0.72 of the standard library's
// CPU; with more Ps each wake-up also wakes another idle thread, and the ring needs 0.9 to 1.1. On epoll the runtime's own
// poller has nothing to envy us.
//
// A process that had more Ps when it listened or connected has one for a while only: testing.AllocsPerRun does that, and
// would count the engine's start.
func (s *Stack) quicker() bool {
	if s.policy != modeByMeasurement || s.severalPs() {
		return false
	}
	e, err := s.engine()
	return err == nil && e.Info().Backend == proactor.IOUring
}

// severalPs reports whether there is, or was at an earlier look, more than one P.
func (s *Stack) severalPs() bool {
	if s.shared.Load() {
		return true
	}
	if runtime.GOMAXPROCS(0) == 1 {
		return false
	}
	s.shared.Store(true)
	return true
}

// onCoroutine reports whether the caller is a coroutine of any engine.
func onCoroutine() bool { return executor.Current() != nil }

// await runs f, which may block. A coroutine is suspended meanwhile, and f runs on a goroutine of its own; a panic or
// runtime.Goexit of it (of a Dialer.Control, say) is the coroutine's, as it is the caller's in the standard library.
func await(f func()) {
	if !onCoroutine() {
		f()
		return
	}
	var w executor.Waiter
	var panicked any
	returned := false
	w.Prepare()
	go func() {
		defer w.Wake()
		defer func() {
			if !returned {
				panicked = recover() // nil: runtime.Goexit
			}
		}()
		f()
		returned = true
	}()
	w.Wait()
	switch {
	case panicked != nil:
		panic(panicked)
	case !returned:
		runtime.Goexit()
	}
}

// Dial is Dialer.Dial with a zero Dialer.
func (s *Stack) Dial(network, address string) (Conn, error) {
	return s.dial(context.Background(), &Dialer{}, network, address)
}

// DialTimeout is Dial that gives up after timeout, name resolution included.
func (s *Stack) DialTimeout(network, address string, timeout time.Duration) (Conn, error) {
	return s.dial(context.Background(), &Dialer{Timeout: timeout}, network, address)
}

// Dialer returns a copy of d whose connections are the stack's.
func (s *Stack) Dialer(d Dialer) *Dialer {
	d.stack = s
	return &d
}

// Listen is ListenConfig.Listen with a zero ListenConfig.
func (s *Stack) Listen(network, address string) (Listener, error) {
	return s.listen(context.Background(), &ListenConfig{}, network, address)
}

// ListenConfig returns a copy of lc whose listeners are the stack's.
func (s *Stack) ListenConfig(lc ListenConfig) *ListenConfig {
	lc.stack = s
	return &lc
}
