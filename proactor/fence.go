//go:build linux

package proactor

import "github.com/ouro-io/ouro/internal/op"

// A fence is an operation that does nothing, submitted after the ends of others were seen: when it has ended, the kernel
// has let go of their descriptors.
//
// Without it the address of a listener, or of a datagram socket, could be in use for a moment after Close. A multishot
// that was armed on another thread ends on that thread: the kernel puts the completion into the queue first and gives its
// reference to the socket back afterwards, while this thread sees the completion and closes the descriptor, which then is
// not the last reference. (Seen as EADDRINUSE when the address was bound again at once: once in 42,000 times where two
// threads tried, and in virtual machines, whose CPUs may stand still in between.) But the kernel does both under the lock of
// the ring, and a submission takes that lock.
//
// States: idle ─need─▶ needed ─passed─▶ on ─Complete─▶ idle. They are guarded by the owner's mu. The zero fence is idle.
type fence struct {
	op         op.Op
	needed, on bool
}

// need notes that an operation on the descriptor was submitted. A reactor's operations hold no reference.
func (f *fence) need(l *loop) { f.needed = l.batches }

// passed reports whether the descriptor may be closed. If not it will be once Complete of done has called end. The
// worker is owned.
func (f *fence) passed(l *loop, done op.Completer) bool {
	if !f.needed || f.on {
		return !f.needed
	}
	f.op.Kind, f.op.Done = op.Nop, done
	if l.backend.Submit(&f.op) != nil {
		f.needed = false // it broke; then nobody binds that soon
		return true
	}
	f.on = true
	return false
}

// end is for Complete, and for a backend that broke.
func (f *fence) end() { f.needed, f.on = false, false }
