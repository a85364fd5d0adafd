package executor

import (
	"context"
	"errors"
	"fmt"
)

// Shutdown, in steps:
//
//  1. New coroutines are refused (ErrShutdown). What exists goes on: tasks, commands, timers, hand-overs.
//  2. Config.OnShutdown runs, once: it closes what coroutines wait for.
//  3. All coroutines end. A coroutine that never ends holds the shutdown up until the context ends.
//  4. The workers stop: each runs what is ready, closes its driver (which may make more ready: that runs too), and
//     refuses tasks and commands from then on. Timers that are still set do not fire.
//  5. All runner goroutines end, those that were deposed and those that carry demoted coroutines as well.
//  6. The monitor stops: last, because until then user code may still hold a worker up that has to stop.
//
// When the context ends first the shutdown stays where it is, and another Shutdown goes on from there.
type shutdown struct {
	turn    chan struct{} // holds a token while nobody is in Shutdown
	hooked  bool
	hookErr error
	ended   bool
}

func (s *shutdown) init() {
	s.turn = make(chan struct{}, 1)
	s.turn <- struct{}{}
}

// Shutdown stops the executor and waits until all of its goroutines have ended. When ctx ends first its error wraps
// ctx's and names what is left; Shutdown may then be called again. It must not be called on a coroutine of e.
func (e *Executor) Shutdown(ctx context.Context) error {
	s := &e.down
	select {
	case <-s.turn: // also when ctx has ended
	default:
		select {
		case <-s.turn:
		case <-ctx.Done():
			return fmt.Errorf("executor: a Shutdown is under way already: %w", e.unfinished(ctx))
		}
	}
	defer func() { s.turn <- struct{}{} }()
	if s.ended {
		return nil
	}
	e.closing.Store(true)
	if !s.hooked && e.config.OnShutdown != nil {
		s.hooked = true
		s.hookErr = e.config.OnShutdown(ctx)
	}
	for e.live.Load() > 0 {
		select {
		case <-e.drained:
		case <-ctx.Done():
			return errors.Join(e.unfinished(ctx), s.hookErr)
		}
	}
	for _, w := range e.workers {
		w.stop.Store(true)
		w.rouse()
	}
	select {
	case <-e.runners.whenZero():
	case <-ctx.Done():
		return errors.Join(e.unfinished(ctx), s.hookErr)
	}
	e.monitor.stop.Store(true)
	e.monitor.stir()
	<-e.monitor.done // after one of its looks at most
	unlistWorkers(e.workers)
	s.ended = true
	return s.hookErr
}

func (e *Executor) unfinished(ctx context.Context) error {
	return fmt.Errorf("executor: shutdown incomplete: %d coroutines and %d runner goroutines have not ended: %w",
		e.live.Load(), e.runners.count(), context.Cause(ctx))
}

// finish ends the worker if nothing is left to do. Owner only.
func (w *Worker) finish() bool {
	if !w.ready.empty() {
		return false
	}
	if !w.closed {
		w.closeDriver()
		return false // closing may have made something ready
	}
	return w.sent.close() && w.injected.close() && w.ready.empty()
}
