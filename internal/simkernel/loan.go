//go:build linux

package simkernel

import (
	"bytes"
	"slices"
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
)

// A loan is the memory of a send without a copy. It is the kernel's from Submit until the program is given the terminal completion.
//
//	submitted ─▶ request ─bytes were taken: the result, with More─▶ owed ─all has left (or was read, or dropped)─▶ notified ─▶ given back
//	                └──────failed: the terminal completion─────────────────────────────────────────────────────────────────────────────┘
//
// Between request and notified the kernel reads from it at any time. io_uring has a notification follow a failure as well; its
// backend keeps the failure back until then, so here both are one. What an operation has moved counts more than what ended it:
// one that is cancelled, or fails, half-way tells its count, and its notification follows.
type loan struct {
	r        *request
	socket   *socket // nil until something was taken
	way      way
	parts    int    // stretches of the socket's flight that are of it
	upTo     uint64 // where in the stream its last byte stands
	owed     bool   // the result was posted
	notified bool   // and so was the notification
}

// way is how long the kernel needs memory that it was lent.
type way uint8

const (
	untilLeft   way = iota // as a network card does that need not send again
	copiedFirst            // it was copied when it was sent, as for a route that cannot gather
	untilRead              // the peer's program must have read it. It stands for an acknowledgement that takes its time
)

// way decides for how long k needs memory that it is lent.
func (k *Kernel) way() way {
	if k.fault("notification waits for the peer", k.cfg.Faults.Hold) {
		return untilRead
	}
	return way(k.choose(2))
}

// owes reports whether k is told of in two completions by b.
func (b *Backend) owes(k op.Kind) bool { return k.ZeroCopy() && b.ring != nil }

// borrow notes that the memory of r, which is being submitted, is the kernel's.
func (b *Backend) borrow(r *request) {
	r.memory = [][]byte{r.buf}
	if r.kind == op.SendMsgZC {
		r.memory = pieces(r.msg)
	}
	if !b.owes(r.kind) {
		return // what is copied is the program's business
	}
	r.loan = &loan{r: r}
	b.lock()
	defer b.k.mu.Unlock()
	b.loans = append(b.loans, r.loan)
	for _, p := range r.memory {
		if b.k.cfg.Watch {
			r.lent = append(r.lent, bytes.Clone(p))
		}
	}
}

// Lent reports whether memory of p is the kernel's: given to it by a send without a copy whose terminal completion was not
// delivered. A backend that has broken delivers none, so what it was given by then stays lent.
func (k *Kernel) Lent(p []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range k.backends {
		for _, l := range b.loans {
			if slices.ContainsFunc(l.r.memory, func(q []byte) bool { return overlap(p, q) }) {
				return true
			}
		}
	}
	return false
}

// Loans is the number of sends without a copy whose terminal completion was not delivered.
func (k *Kernel) Loans() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range k.backends {
		n += len(b.loans)
	}
	return n
}

// refusals are what a send without a copy fails with where a send with one would not.
var refusals = []syscall.Errno{syscall.ENOMEM, syscall.ENOBUFS, syscall.EINVAL, syscall.EOPNOTSUPP}

// refused decides whether the kernel copies, or nobody: then it is the program that has to send with a copy.
func (r *request) refused(s *socket) syscall.Errno {
	k := r.b.k
	switch {
	case s.copies && r.loan != nil:
		return syscall.EOPNOTSUPP
	case r.loan == nil || !k.fault("send without a copy is refused", k.cfg.Faults.Deny):
		return 0
	case r.done > 0:
		return refusals[k.choose(2)] // what lacks memory may do so at any time
	}
	errno := refusals[k.choose(len(refusals))]
	s.copies = errno == syscall.EOPNOTSUPP
	return errno
}

// sendShared has something happen to a send without a copy.
func (r *request) sendShared(s *socket) {
	if errno := r.refused(s); errno != 0 {
		r.finish(r.partial(errno))
		return
	}
	want := 0
	for _, p := range r.memory {
		want += len(p)
	}
	n, errno := r.gather(s, want)
	r.moved(n, errno, want)
}

// gather sends what is left of r's memory, which is want bytes in all, as far as there is room, and shares it with the network or copies it.
func (r *request) gather(s *socket, want int) (int, syscall.Errno) {
	n, errno := s.admit(want - r.done)
	if l := r.loan; l != nil && n > 0 {
		if l.socket == nil {
			l.socket, l.way = s, r.b.k.way()
			s.loans = append(s.loans, l)
		}
		l.upTo = s.put
	}
	skip, take := r.done, n
	for _, p := range r.memory {
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		p = p[skip:]
		p, skip = p[:min(len(p), take)], 0
		if take -= len(p); len(p) == 0 {
			break
		}
		if r.loan == nil || r.loan.way == copiedFirst {
			s.out.copy(p)
		} else {
			s.out.share(p, r.loan)
		}
	}
	return n, errno
}

// sent posts the result of a send without a copy that was given bytes. What it was lent is owed from here on.
func (r *request) sent(n int32) {
	r.b.enqueue(cqe{ref: r.ref, res: n, more: true, buf: -1})
	r.end()
	r.loan.owed = true
}

// free reports whether the kernel has no use for l any more.
func (l *loan) free() bool {
	if l.parts > 0 {
		return false
	}
	s := l.socket
	return l.way != untilRead || s.state != connected || s.peer.gone || s.peer.taken >= l.upTo
}

// due reports whether the notification of l can be posted.
func (l *loan) due() bool { return l.owed && !l.notified && l.free() }

// notify posts the notification of l. mu is held.
func (b *Backend) notify(l *loan) {
	l.r.unchanged()
	c := cqe{ref: l.r.ref, buf: -1}
	if l.way == copiedFirst || b.k.choose(2) == 1 { // a loopback device copies when the bytes leave
		b.k.tally.add("send without a copy that was copied all the same")
		c.res = 1
	}
	b.enqueue(c)
	l.notified = true
	b.mayHaunt(l.r.ref)
}

// giveBack is the end of the loan of ref: the program is told. mu is held.
func (b *Backend) giveBack(ref op.Ref) {
	i := slices.IndexFunc(b.loans, func(l *loan) bool { return l.r.ref == ref })
	if i < 0 {
		return
	}
	l := b.loans[i]
	b.loans = slices.Delete(b.loans, i, i+1)
	if s := l.socket; s != nil {
		s.loans = slices.DeleteFunc(s.loans, func(x *loan) bool { return x == l })
	}
}

// settleLoans is the end of all loans with that of the backend: what the network has not sent of them is copied. mu is held.
func (b *Backend) settleLoans() {
	for _, l := range b.loans {
		if l.socket != nil {
			l.socket.out.keep(l)
		}
		if b.broken == nil && l.owed && !l.notified {
			b.notify(l)
		}
	}
}

// unpaid reports whether the program was not told the end of a loan that s has bytes of.
func (s *socket) unpaid() bool {
	return slices.ContainsFunc(s.loans, func(l *loan) bool { return l.r.b.broken == nil })
}
