package buffers

import "os"

// span is one mapping of a Pool, cut into slabs of one class. All of it but the records' leases is guarded by Pool.mu.
//
// A span with a free slab is on its class's list; a full one is on none. A span of which no slab is out may be
// unmapped, and is when another class needs the bytes, at Trim, or when the pool is closed.
type span struct {
	pool       *Pool
	class      *class
	mem        []byte
	records    []record
	free       []uint16
	prev, next *span
}

// class is the slabs of one size.
type class struct {
	slab int
	// list holds the spans with a free slab, the one to take from first. A span joins at the front, so that memory
	// released last is lent first.
	list *span
}

// spanBytes is how much a span of small slabs maps; a slab that is larger has a span of its own.
const spanBytes = 64 << 10

// spanSize is the length of the next mapping for slabs of the given size when budget bytes are left, 0 when not even
// one page of them fits.
func spanSize(slab, budget int) int {
	page := os.Getpagesize()
	if n := max(slab, spanBytes, page); n <= budget {
		return n
	}
	// The last bytes are handed out in smaller mappings.
	if n := budget / max(slab, page) * max(slab, page); n > 0 {
		return n
	}
	return 0
}

// newSpan maps a span of size bytes for c and puts it on c's list.
func newSpan(p *Pool, c *class, size int) error {
	mem, err := p.mapSpan(size)
	if err != nil {
		return err
	}
	n := size / c.slab
	s := &span{pool: p, class: c, mem: mem, records: make([]record, n), free: make([]uint16, n)}
	for i := range s.records {
		r := &s.records[i]
		r.home, r.id = s, uint16(i)
		r.mem = mem[i*c.slab : (i+1)*c.slab : (i+1)*c.slab]
		s.free[i] = uint16(n - 1 - i)
	}
	s.join()
	return nil
}

// unmap ends s, of which no slab is out.
func (s *span) unmap() {
	s.leave()
	for i := range s.records {
		// A stale lease then meets a panic of Go instead of a fault.
		s.records[i].mem = nil
	}
	forget(s.records)
	s.pool.unmapSpan(s.mem)
	s.mem = nil
}

// idle reports whether no slab is out.
func (s *span) idle() bool { return len(s.free) == len(s.records) }

// take takes a slab from s, which is on its class's list.
func (s *span) take() *record {
	last := len(s.free) - 1
	r := &s.records[s.free[last]]
	s.free = s.free[:last]
	if last == 0 {
		s.leave()
	}
	r.where = placeLeased
	return r
}

// giveBack puts r on the free list.
func (s *span) giveBack(r *record) {
	r.where = placeFree
	s.free = append(s.free, r.id)
	if len(s.free) == 1 {
		s.join()
	}
}

func (s *span) join() {
	s.next = s.class.list
	if s.next != nil {
		s.next.prev = s
	}
	s.class.list = s
}

func (s *span) leave() {
	if s.next != nil {
		s.next.prev = s.prev
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		s.class.list = s.next
	}
	s.prev, s.next = nil, nil
}

func (s *span) put(r *record) { s.pool.put(s, r) }
func (s *span) twice()        { s.pool.doubles.Add(1) }
func (s *span) kind() string  { return "pool" }
func (s *span) owned() bool   { return true }
