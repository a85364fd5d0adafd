//go:build !linux

package net

import "context"

// Serve calls the handler for each datagram that arrives at c, on goroutines, until c is closed or ctx ends, which closes
// c.
func (s PacketServer) Serve(ctx context.Context, c PacketConn) error {
	s, err := s.checked()
	if err != nil {
		return err
	}
	return s.onGoroutines(ctx, c)
}
