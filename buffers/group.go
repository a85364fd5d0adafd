package buffers

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// A Group's buffer is in one of four places (record.where), changed under Group.mu only:
//
//	          Attach, Grow
//	   free ───────────────▶ kernel ──Filled──▶ leased
//	   │  ▲                   │   ▲               │
//	  Take└────────Put────────┘   └───Release─────┤ (Put and Release prefer the kernel while it has fewer than the
//	   ▼                                          │  target, else the free list)
//	 taken ──────────Filled──▶ leased ──Release──▶ free
//
// Without a ring nothing is ever with the kernel. The free list is last in, first out, so that a reactor reads into
// memory that is still in the cache. The kernel takes buffers from its ring first in, first out and so touches all
// that were provided: hence few are provided at first and more only when the kernel ran out.
//
// The ring is touched under mu only, so that any goroutine may give a buffer back to it, and never after Detach.
// refill is called without mu.

// Ring is a provided-buffer ring of the kernel, as the Group sees it. The Group never calls it concurrently.
type Ring interface {
	// Add puts a buffer at the ring's tail; the kernel may see it only after Publish. The ring has room for as many
	// as the Group has buffers.
	Add(mem []byte, id uint16)
	// Publish shows the kernel what was added.
	Publish()
}

// GroupConfig configures NewGroup; the zero value works.
type GroupConfig struct {
	// Size is the length of a buffer in bytes: default 64 KiB, 1 to 16 MiB.
	Size int
	// Count is the number of buffers: default 1024, 1 to 32768 (what a provided-buffer ring holds at most). A buffer
	// that was never used takes address space but no memory.
	Count int
	// Provide is the number of buffers that Attach hands to the kernel: default 64 or Count if that is less, 1 to
	// Count. Grow doubles it as needed. Without a ring it means nothing.
	Provide int
}

const (
	defaultSize    = 64 << 10
	maxSize        = 16 << 20
	defaultCount   = 1024
	maxCount       = 32768
	defaultProvide = 64

	// stride is what buffers are aligned to, so that no two share a cache line.
	stride = 64
)

func (c GroupConfig) checked() (GroupConfig, error) {
	if c.Size == 0 {
		c.Size = defaultSize
	}
	if c.Count == 0 {
		c.Count = defaultCount
	}
	if c.Size < 1 || c.Size > maxSize {
		return c, fmt.Errorf("buffers: GroupConfig.Size is %d; give 1 to %d bytes, or 0 for %d", c.Size, maxSize, defaultSize)
	}
	if c.Count < 1 || c.Count > maxCount {
		return c, fmt.Errorf("buffers: GroupConfig.Count is %d; give 1 to %d, or 0 for %d", c.Count, maxCount, defaultCount)
	}
	if c.Provide == 0 {
		c.Provide = min(defaultProvide, c.Count)
	}
	if c.Provide < 1 || c.Provide > c.Count {
		return c, fmt.Errorf("buffers: GroupConfig.Provide is %d; give 1 to Count (%d), or 0 for %d", c.Provide, c.Count,
			min(defaultProvide, c.Count))
	}
	return c, nil
}

// Group is the equal buffers of one worker that receive operations fill. The package comment says who may call what.
type Group struct {
	size, count int
	records     []record
	doubles     atomic.Uint64

	mu     sync.Mutex
	mem    []byte // nil once unmapped
	ring   Ring
	refill func()
	free   []uint16
	// kernel, taken and leased count the buffers in those places; target is how many the kernel should have at most.
	kernel, taken, leased, target int
	starving, closed              bool
	stats                         GroupStats // only what grows, and the peak
}

// NewGroup maps the memory of a group, without touching it.
func NewGroup(c GroupConfig) (*Group, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	step := (c.Size + stride - 1) / stride * stride
	mem, err := mapMemory(step * c.Count)
	if err != nil {
		return nil, fmt.Errorf("buffers: map %d buffers of %d bytes: %w; use fewer or smaller ones, or raise the limit of "+
			"address space", c.Count, c.Size, err)
	}
	g := &Group{size: c.Size, count: c.Count, target: c.Provide, mem: mem,
		records: make([]record, c.Count), free: make([]uint16, c.Count)}
	for i := range g.records {
		r := &g.records[i]
		r.home, r.id = g, uint16(i)
		r.mem = mem[i*step : i*step+c.Size : i*step+c.Size]
		// The lowest lies on top, so that use begins at the front of the mapping.
		g.free[i] = uint16(c.Count - 1 - i)
	}
	return g, nil
}

// Size is the length of each buffer in bytes. Any goroutine.
func (g *Group) Size() int { return g.size }

// Count is the number of buffers, which a ring must have room for. Any goroutine.
func (g *Group) Count() int { return g.count }

// Attach provides the first buffers to r and from then on gives buffers back to it. It panics when the group has a
// ring already or is closed. For the worker.
func (g *Group) Attach(r Ring) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ring != nil || g.closed {
		panic("buffers: attach to a group that has a ring or is closed; Detach the old ring first")
	}
	g.ring = r
	g.provide(g.target)
}

// Detach ends the use of the ring: what was provided is free again. It must be called when the kernel has stopped
// using the ring and before the ring's memory goes away. Without a ring it does nothing. For the worker.
func (g *Group) Detach() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.detach()
}

func (g *Group) detach() {
	if g.ring == nil {
		return
	}
	g.ring = nil
	for i := range g.records {
		if r := &g.records[i]; r.where == placeKernel {
			r.where = placeFree
			g.free = append(g.free, r.id)
		}
	}
	g.kernel = 0
}

// provide hands up to n free buffers to the kernel. The caller holds mu, and there is a ring.
func (g *Group) provide(n int) {
	n = min(n, len(g.free))
	if n <= 0 {
		return
	}
	for range n {
		r := &g.records[g.pop()]
		r.where = placeKernel
		g.ring.Add(r.mem, r.id)
	}
	g.kernel += n
	g.ring.Publish()
}

func (g *Group) pop() uint16 {
	last := len(g.free) - 1
	id := g.free[last]
	g.free = g.free[:last]
	return id
}

// Filled turns buffer id, provided to the kernel or taken by Take, into a lease of its first n bytes (0 to Size). It
// panics when the buffer is elsewhere or n is out of range: the backend has lost count, and somebody's memory would be
// overwritten. For the worker.
func (g *Group) Filled(id uint16, n int) Lease {
	g.mu.Lock()
	r := g.leave(id, "filled")
	if n < 0 || n > g.size {
		g.mu.Unlock()
		panic(fmt.Sprintf("buffers: buffer %d of %d bytes filled with %d", id, g.size, n))
	}
	r.where = placeLeased
	g.leased++
	g.stats.Filled++
	g.stats.PeakOut = max(g.stats.PeakOut, g.leased)
	l := r.lend(n)
	g.mu.Unlock()
	if debugging.Load() {
		traceTaken(r)
	}
	return l
}

// leave takes buffer id out of the kernel's or the reactor's hands. The caller holds mu; it is let go before a panic.
func (g *Group) leave(id uint16, verb string) *record {
	if int(id) < g.count {
		switch r := &g.records[id]; r.where {
		case placeKernel:
			g.kernel--
			return r
		case placeTaken:
			g.taken--
			return r
		}
	}
	defer g.mu.Unlock()
	if int(id) >= g.count {
		panic(fmt.Sprintf("buffers: buffer %d %s; the group has %d", id, verb, g.count))
	}
	panic(fmt.Sprintf("buffers: buffer %d %s while %v", id, verb, g.records[id].where))
}

// Take gives the caller a free buffer to read into, which it must pass to Filled or Put; ok is false when none is
// free. For the worker.
func (g *Group) Take() (mem []byte, id uint16, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.free) == 0 || g.closed {
		return nil, 0, false
	}
	r := &g.records[g.pop()]
	r.where = placeTaken
	g.taken++
	return r.mem, r.id, true
}

// Put gives back buffer id, taken by Take or used up by the kernel, of which no lease was made. It panics when the
// buffer is elsewhere. For the worker.
func (g *Group) Put(id uint16) {
	g.mu.Lock()
	g.settle(g.leave(id, "put"))
}

// put implements home.
func (g *Group) put(r *record) {
	g.mu.Lock()
	g.leased--
	g.stats.Released++
	g.settle(r)
}

// settle puts r, which is in no place, where it is needed, and tells who starved. The caller holds mu; settle lets go.
func (g *Group) settle(r *record) {
	if g.ring != nil && g.kernel < g.target {
		r.where = placeKernel
		g.kernel++
		g.ring.Add(r.mem, r.id)
		g.ring.Publish()
	} else {
		r.where = placeFree
		g.free = append(g.free, r.id)
	}
	f := g.fed()
	g.unmapIdle()
	g.mu.Unlock()
	if f != nil {
		f()
	}
}

// fed returns the function to call now that there may be buffers again, nil when there is nobody to tell.
func (g *Group) fed() func() {
	if !g.starving || g.closed || g.kernel == 0 && (g.ring != nil || len(g.free) == 0) {
		return nil
	}
	g.starving = false
	g.stats.Refills++
	return g.refill
}

// Grow is for a backend that was told ENOBUFS. It reports whether the kernel has buffers now, so that it pays to arm
// the operation again. When the kernel's ring has fallen below half, it doubles the number provided, as far as there
// are free buffers; many operations that run out at once therefore make it grow once. Buffers that the kernel has
// filled count as the kernel's until Filled is called, so an operation may run out once more before the answer turns.
// False means that all buffers are with holders of leases: call Starve. Without a ring it reports whether a buffer is
// free. For the worker.
func (g *Group) Grow() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	if g.ring == nil {
		return len(g.free) > 0
	}
	if 2*g.kernel < g.target && len(g.free) > 0 {
		g.provide(g.target)
		g.target = min(2*g.target, g.count)
		g.stats.Grown++
	}
	return g.kernel > 0
}

// OnRefill sets the function that Starve promises to call: on whichever goroutine gives a buffer back, without locks.
// It must be short and must not block; waking the worker is what it is for. Set it before the first Starve. For the
// worker.
func (g *Group) OnRefill(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refill = f
}

// Starve asks for one call of OnRefill's function once a buffer is back. When one came back since Grow or Take said
// no, that call comes from inside Starve. Several calls before a buffer comes back are as one. For the worker.
func (g *Group) Starve() {
	g.mu.Lock()
	g.starving = true
	g.stats.Starved++
	f := g.fed()
	g.mu.Unlock()
	if f != nil {
		f()
	}
}

// Close ends the group: Take and Grow answer no. The kernel must have stopped using the ring. While leases are held, or
// a buffer taken, the memory stays and Close returns an error that wraps ErrInUse and says how many; the memory is
// unmapped when the last comes back. Close may be called again to learn whether that has happened. Any goroutine, once
// the worker has stopped.
func (g *Group) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.starving = false
	g.detach()
	g.unmapIdle()
	if g.mem == nil {
		return nil
	}
	return fmt.Errorf("buffers: close group: %d leases held, %d buffers taken of %d: %w; the memory goes when they are back",
		g.leased, g.taken, g.count, ErrInUse)
}

// unmapIdle unmaps a closed group of which nothing is out. The caller holds mu.
func (g *Group) unmapIdle() {
	if !g.closed || g.mem == nil || g.leased+g.taken > 0 {
		return
	}
	for i := range g.records {
		// A stale lease then meets a panic of Go instead of a fault.
		g.records[i].mem = nil
	}
	forget(g.records)
	unmapMemory(g.mem)
	g.mem = nil
}

func (g *Group) twice()       { g.doubles.Add(1) }
func (g *Group) kind() string { return "group" }
func (g *Group) owned() bool  { return true }

// GroupStats tells the state of a Group.
type GroupStats struct {
	// Size and Count are the configuration: bytes of a buffer, number of buffers.
	Size, Count int
	// Free, Provided, Taken and Out are where the buffers are now: on the free list, with the kernel, with the
	// reactor, under a lease. Together they are Count.
	Free, Provided, Taken, Out int
	// Target is how many buffers the kernel is given at most; Grow doubles it.
	Target int
	// PeakOut is the most leases that were ever held at once.
	PeakOut int
	// Filled and Released count leases made and ended, DoubleReleases the releases that came too late.
	Filled, Released, DoubleReleases uint64
	// Grown counts the times that Grow provided more, Starved the calls of Starve, Refills the calls of OnRefill's
	// function that answered them.
	Grown, Starved, Refills uint64
}

// Stats returns where the buffers are and what has happened, all at one moment. Any goroutine.
func (g *Group) Stats() GroupStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.stats
	s.Size, s.Count = g.size, g.count
	s.Free, s.Provided, s.Taken, s.Out = len(g.free), g.kernel, g.taken, g.leased
	s.Target = g.target
	s.DoubleReleases = g.doubles.Load()
	return s
}
