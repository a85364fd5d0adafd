package op

// Ref names an operation in flight: slot in the lower 32 bits, generation in the next 24, kind in the top 8. It
// travels through the kernel as user data. 0 is nobody.
type Ref uint64

const (
	genBits  = 24
	genMask  = 1<<genBits - 1
	kindFrom = 32 + genBits
)

// Kind is the kind that the operation had when it was submitted.
func (r Ref) Kind() Kind { return Kind(r >> kindFrom) }

// Slot is the operation's place in its table.
func (r Ref) Slot() uint32 { return uint32(r) }

// Table maps a Ref to the operation in flight. A slot that is used again gets another generation, so a completion
// that comes late or twice finds nobody. It keeps the operations reachable for the garbage collector while the
// kernel works on their memory. Not safe for concurrent use.
type Table struct {
	ops  []*Op    // by slot, nil where it is free
	gens []uint32 // by slot; apart from ops, as together they would take a third more
	free []uint32
}

// Len is the number of operations in flight.
func (t *Table) Len() int { return len(t.ops) - len(t.free) }

// Put gives o, which must be idle, a Ref.
func (t *Table) Put(o *Op) Ref {
	if o.ref != 0 {
		panic("op: submitted while in flight")
	}
	var i uint32
	if n := len(t.free); n > 0 {
		i = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		i = uint32(len(t.ops))
		t.ops, t.gens = append(t.ops, nil), append(t.gens, 0)
	}
	gen := (t.gens[i] + 1) & genMask
	if gen == 0 { // skipped, so that no Ref is 0
		gen = 1
	}
	t.ops[i], t.gens[i] = o, gen
	o.cancelled, o.lent = false, false
	o.ref = Ref(i) | Ref(gen)<<32 | Ref(o.Kind)<<kindFrom
	return o.ref
}

// Get returns the operation in flight under r, nil when it ended.
func (t *Table) Get(r Ref) *Op {
	i := r.Slot()
	if int(i) >= len(t.ops) {
		return nil
	}
	if o := t.ops[i]; o != nil && o.ref == r {
		return o
	}
	return nil
}

// Drop makes o idle and frees its slot. Cancelled stays as it was until the next Put.
func (t *Table) Drop(o *Op) {
	i := o.ref.Slot()
	t.ops[i] = nil
	t.free = append(t.free, i)
	o.ref = 0
}

// All calls f for each operation in flight. f may cancel but neither put nor drop.
func (t *Table) All(f func(*Op)) {
	for _, o := range t.ops {
		if o != nil {
			f(o)
		}
	}
}
