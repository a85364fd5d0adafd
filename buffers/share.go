package buffers

import "sync/atomic"

// shares is the home of the leases that Share makes.
type shares struct {
	of      Lease
	left    atomic.Int64
	records []record
}

// Share returns n leases of the same bytes, n at least 1, each to be released once by whoever holds it; the last of these
// releases l. The caller must neither use nor release l any more. It is for sending the same bytes to many: two
// allocations whatever n is. Charge books each of them on its own.
func (l Lease) Share(n int) []Lease {
	if n < 1 {
		panic("buffers: a lease shared by nobody")
	}
	s := &shares{of: l, records: make([]record, n)}
	s.left.Store(int64(n))
	mem := l.Bytes()
	out := make([]Lease, n)
	trace := debugging.Load()
	for i := range out {
		r := &s.records[i]
		r.mem, r.home, r.where = mem, s, placeLeased
		out[i] = r.lend(len(mem))
		if trace {
			traceTaken(r)
		}
	}
	return out
}

func (s *shares) put(*record) {
	if s.left.Add(-1) == 0 {
		s.of.Release()
	}
}

func (*shares) twice()       {}
func (*shares) kind() string { return "share" }
func (*shares) owned() bool  { return false }
