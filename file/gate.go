//go:build linux

package file

import "sync/atomic"

// gate counts who uses a descriptor, so that it is closed when the last has left, and never while the kernel may still
// look at it.
//
//	open, n users ──shut──▶ closed, n users ──last leave──▶ closed, over (exactly once)
type gate struct{ state atomic.Int64 }

const gateClosed = 1 << 62

// enter lets a user in; false when the gate is shut.
func (g *gate) enter() bool {
	for {
		s := g.state.Load()
		if s&gateClosed != 0 {
			return false
		}
		if g.state.CompareAndSwap(s, s+1) {
			return true
		}
	}
}

// leave reports whether the caller was the last one out of a shut gate, who closes the descriptor.
func (g *gate) leave() bool { return g.state.Add(-1) == gateClosed }

// shut lets nobody in from here on. first is false when it was shut before; empty reports that nobody is inside, so that
// the caller closes the descriptor.
func (g *gate) shut() (first, empty bool) {
	s := g.state.Or(gateClosed)
	return s&gateClosed == 0, s == 0
}

// users is the number of those inside.
func (g *gate) users() int64 { return g.state.Load() &^ gateClosed }

// closed reports whether the gate is shut.
func (g *gate) closed() bool { return g.state.Load()&gateClosed != 0 }
