package stream

import (
	"sync"

	"github.com/ouro-io/ouro/executor"
)

// gatherer is the buffer between the source of a Gather and its consumer. What is in the pipe are not values but a note
// that the buffer is no longer empty. There is one note per filling, and the consumer takes the buffer once per note; so a
// source never waits in put. One that finds the buffer full waits for the consumer to take it.
type gatherer struct {
	p    *pipe[struct{}]
	size int

	mu      sync.Mutex
	buf     []byte
	closed  bool
	waiting bool
	waiter  executor.Waiter
}

// add copies chunk into the buffer. It reports whether the consumer wants more.
func (g *gatherer) add(chunk []byte, put func(struct{}) bool) bool {
	g.mu.Lock()
	for len(g.buf) > 0 && len(g.buf)+len(chunk) > g.size && !g.closed {
		g.waiter.Prepare()
		g.waiting = true
		g.mu.Unlock()
		g.waiter.Wait()
		g.mu.Lock()
	}
	if g.closed {
		g.mu.Unlock()
		return false
	}
	first := len(g.buf) == 0
	g.buf = append(g.buf, chunk...)
	g.mu.Unlock()
	return !first || put(struct{}{})
}

// swap takes what has been gathered and leaves spare in its place.
func (g *gatherer) swap(spare []byte) []byte {
	g.mu.Lock()
	full := g.buf
	g.buf = spare
	g.wake()
	return full
}

// close ends the waits of the source.
func (g *gatherer) close() {
	g.mu.Lock()
	g.closed = true
	g.wake()
}

// wake wakes the source and gives mu back.
func (g *gatherer) wake() {
	wake := g.waiting
	g.waiting = false
	g.mu.Unlock()
	if wake {
		g.waiter.Wake()
	}
}
