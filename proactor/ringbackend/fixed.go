//go:build linux

package ringbackend

import (
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// useRegistered makes s, the entry of o, the same on registered memory where o's is that. It changes nothing about results, cancels and
// ownership, so neither the contract nor o's owner knows of it.
//
//go:noinline
func (b *Backend) useRegistered(s *uring.SQE, o *op.Op) {
	place, ok := b.fixed.Place(o.Buf)
	if !ok {
		return
	}
	s.BufIndex = place
	switch o.Kind {
	case op.Read:
		s.Opcode = uring.OpReadFixed
	case op.Write:
		s.Opcode = uring.OpWriteFixed
	case op.SendZC:
		s.IoPrio |= uring.FixedBuf
	}
}
