package csp

import (
	"context"
	"sync"

	"github.com/ouro-io/ouro/executor"
)

// contextSource is the end of a context. It belongs to one Case, so at most one Choice waits for it at a time.
type contextSource struct {
	ctx context.Context

	mu     sync.Mutex
	choice *executor.Choice // nil when nobody waits: a late end of the context touches nothing then
	index  int
	stop   func() bool
}

func (s *contextSource) Ready() bool { return s.ctx.Err() != nil }

func (s *contextSource) Subscribe(c *executor.Choice, i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.choice, s.index = c, i
	s.stop = context.AfterFunc(s.ctx, s.ended)
}

func (s *contextSource) ended() {
	s.mu.Lock()
	c := s.choice
	won := c != nil && c.Claim(s.index)
	s.mu.Unlock()
	if won {
		c.Wake()
	}
}

func (s *contextSource) Unsubscribe(*executor.Choice, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.choice = nil
	s.stop()
}
