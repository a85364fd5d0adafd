//go:build linux

package ringbackend

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// Restrict says what the kernel lets a ring do (io_uring_register(2), IORING_REGISTER_RESTRICTIONS). Whoever gets hold of
// the ring's memory or descriptor, through a bug in this process, can make it do that much and no more: no opening,
// renaming or removing of files, no commands to devices, no new registrations but of memory. It is defence in depth, not a
// sandbox: the process can still make system calls.
type Restrict uint8

const (
	// RestrictUsed permits the operations that this backend performs.
	RestrictUsed Restrict = iota
	// RestrictSockets permits those of them that sockets need. An operation on a file is refused by Submit with EACCES.
	RestrictSockets
	// RestrictNone permits everything.
	RestrictNone

	restrictCount
)

// allowed is what r permits, nil for everything.
//
// The list is made by preparing an operation of each kind, so that a kind that is added is permitted with it; what the
// backend submits for itself is added by hand (cancel, the wake-up's poll, the tick).
func (r Restrict) allowed() []uring.Restriction {
	if r == RestrictNone {
		return nil
	}
	var ops [256]bool
	flags := uint8(0)
	ops[uring.OpAsyncCancel], ops[uring.OpPollAdd], ops[uring.OpTimeout] = true, true, true
	for k := op.Kind(0); known(k); k++ {
		if r.permits(k) {
			var s uring.SQE
			o := op.Op{Kind: k}
			o.SetMsg(&unix.Msghdr{}) // any memory will do: nothing is submitted
			prepare(&s, &o)
			ops[s.Opcode] = true
			flags |= s.Flags
		}
	}
	if r == RestrictUsed {
		ops[uring.OpReadFixed], ops[uring.OpWriteFixed] = true, true
	}
	list := []uring.Restriction{uring.AllowSQEFlags(flags), uring.AllowUnregisterBufRing(), uring.AllowUpdateBuffers()}
	for code, yes := range ops {
		if yes {
			list = append(list, uring.AllowOp(uint8(code)))
		}
	}
	return list
}

// permits reports whether operations of kind k may be submitted.
func (r Restrict) permits(k op.Kind) bool { return r != RestrictSockets || !k.OnFile() }

// enable gives up what r does not permit, and starts the ring, which setup made in the state before that.
func enable(ring *uring.Ring, r Restrict) error {
	list := r.allowed()
	if list == nil {
		return nil
	}
	if err := ring.RegisterRestrictions(list); err != nil {
		return err
	}
	return ring.EnableRings()
}

// refusal is the error of an operation that is not known or not permitted.
//
//go:noinline
func refusal(k op.Kind) error {
	if !known(k) {
		return fmt.Errorf("ringbackend: operation of kind %d: %w", k, syscall.EINVAL)
	}
	return fmt.Errorf("ringbackend: %v: this ring is restricted to operations on sockets: %w", k, syscall.EACCES)
}
