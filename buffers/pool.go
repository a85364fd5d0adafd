package buffers

import (
	"fmt"
	"math/bits"
	"os"
	"sync"
	"sync/atomic"
)

// PoolConfig configures NewPool; the zero value works.
type PoolConfig struct {
	// MaxBytes bounds the memory that the pool maps, free slabs included: default 64 MiB, or MaxSlab if that is more;
	// at least a page and MaxSlab, at most 1 TiB (on 32-bit systems 1 GiB).
	MaxBytes int
	// MaxSlab is the size of the largest slab in bytes, a power of two: default 1 MiB, or the largest power of two
	// within MaxBytes if that is less; 512 bytes to 1 GiB.
	MaxSlab int
	// Fixed makes memory that rings can register once instead of pinning it for each operation: in one stretch, of huge
	// pages where the system has them, in chunks of FixedChunk (2 MiB). It is not given back to the system before Close. MaxBytes
	// is then rounded up to whole chunks, by default 16 MiB and at least 1, and MaxSlab is at most a chunk.
	Fixed bool
	// SmallPages leaves huge pages out of Fixed. Sends without a copy need that: the kernel charges to the socket how far
	// into its page the memory lies.
	SmallPages bool
}

const (
	minSlab      = 512
	topSlab      = 1 << 30
	defaultSlab  = 1 << 20
	defaultBytes = 64 << 20
	defaultFixed = 16 << 20
	topBytes     = 1 << (30 + 10*(^uint(0)>>63))
)

func (c PoolConfig) checked() (PoolConfig, error) {
	page := os.Getpagesize()
	if c.MaxSlab != 0 && (c.MaxSlab < minSlab || c.MaxSlab > topSlab || c.MaxSlab&(c.MaxSlab-1) != 0) {
		return c, fmt.Errorf("buffers: PoolConfig.MaxSlab is %d; give a power of two from %d to %d bytes, or 0 for %d",
			c.MaxSlab, minSlab, topSlab, defaultSlab)
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = max(defaultBytes, c.MaxSlab)
		if c.Fixed {
			c.MaxBytes = defaultFixed
		}
	}
	if c.Fixed && c.MaxBytes > 0 && c.MaxBytes < topBytes { // first, as MaxSlab's default follows from it
		c.MaxBytes = (c.MaxBytes + FixedChunk - 1) &^ (FixedChunk - 1)
	}
	if c.MaxBytes < max(page, c.MaxSlab) || c.MaxBytes > topBytes {
		return c, fmt.Errorf("buffers: PoolConfig.MaxBytes is %d; give %d (a page and MaxSlab) to %d bytes, or 0 for %d",
			c.MaxBytes, max(page, c.MaxSlab), topBytes, max(defaultBytes, c.MaxSlab))
	}
	if c.MaxSlab == 0 {
		c.MaxSlab = min(defaultSlab, 1<<(bits.Len(uint(c.MaxBytes))-1))
	}
	if c.Fixed && c.MaxSlab > FixedChunk {
		return c, fmt.Errorf("buffers: PoolConfig.MaxSlab is %d; give at most %d bytes with Fixed", c.MaxSlab, FixedChunk)
	}
	return c, nil
}

// Pool lends slabs in size classes, the powers of two from 512 bytes to MaxSlab. Slabs of 4 KiB and more begin at a
// multiple of 4 KiB, as O_DIRECT needs. All methods are safe from any goroutine; workers that do not want to meet at its
// lock have a pool each.
type Pool struct {
	maxBytes, maxSlab int
	fixed, small      bool
	arena             atomic.Pointer[arena] // of a fixed pool, once it is mapped
	doubles           atomic.Uint64

	mu      sync.Mutex
	classes []class // slab sizes minSlab << index
	closed  bool
	stats   PoolStats // but for the configuration and DoubleReleases
}

// NewPool returns an empty pool: memory is mapped as it is asked for.
func NewPool(c PoolConfig) (*Pool, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	p := &Pool{maxBytes: c.MaxBytes, maxSlab: c.MaxSlab, fixed: c.Fixed, small: c.SmallPages, classes: make([]class, classOf(c.MaxSlab)+1)}
	for i := range p.classes {
		p.classes[i].slab = minSlab << i
	}
	return p, nil
}

// classOf is the class of the smallest slab that holds n bytes.
func classOf(n int) int {
	if n <= minSlab {
		return 0
	}
	return bits.Len(uint(n-1)) - bits.Len(minSlab-1)
}

// Get lends n bytes (0 to MaxSlab), which hold whatever was in them before; up to half of the slab behind them may
// be beyond the lease. It fails with an error that wraps ErrExhausted when the bound is reached and ErrClosed after
// Close; it never waits. Any goroutine.
func (p *Pool) Get(n int) (Lease, error) {
	if n < 0 || n > p.maxSlab {
		return Lease{}, fmt.Errorf("buffers: %d bytes asked of a pool whose largest slab (PoolConfig.MaxSlab) has %d", n, p.maxSlab)
	}
	p.mu.Lock()
	r, err := p.take(classOf(n))
	if err != nil {
		p.stats.Failed++
		p.mu.Unlock()
		return Lease{}, err
	}
	l := r.lend(n)
	p.mu.Unlock()
	if debugging.Load() {
		traceTaken(r)
	}
	return l, nil
}

// take takes a slab of class i, mapping a span if need be. The caller holds mu.
func (p *Pool) take(i int) (*record, error) {
	if p.closed {
		return nil, fmt.Errorf("buffers: get from pool: %w", ErrClosed)
	}
	c := &p.classes[i]
	if c.list == nil {
		if err := p.grow(c); err != nil {
			return nil, err
		}
	}
	p.stats.Out++
	p.stats.OutBytes += c.slab
	p.stats.PeakOutBytes = max(p.stats.PeakOutBytes, p.stats.OutBytes)
	p.stats.Lent++
	return c.list.take(), nil
}

// grow maps a span for c, at the cost of idle spans of other classes if the bound asks for it. The caller holds mu.
func (p *Pool) grow(c *class) error {
	size := spanSize(c.slab, p.maxBytes-p.stats.MappedBytes)
	if size == 0 {
		p.reclaim(max(c.slab, os.Getpagesize()))
		if size = spanSize(c.slab, p.maxBytes-p.stats.MappedBytes); size == 0 {
			return fmt.Errorf("buffers: %d of %d bytes lent, none left for a slab of %d: %w; release leases or raise "+
				"PoolConfig.MaxBytes", p.stats.OutBytes, p.maxBytes, c.slab, ErrExhausted)
		}
	}
	if err := newSpan(p, c, size); err != nil {
		return fmt.Errorf("buffers: map %d bytes for leases: %w", size, err)
	}
	p.stats.MappedBytes += size
	return nil
}

// reclaim unmaps idle spans until want bytes may be mapped or no span is idle. The caller holds mu.
func (p *Pool) reclaim(want int) {
	for i := range p.classes {
		for s := p.classes[i].list; s != nil; {
			if p.maxBytes-p.stats.MappedBytes >= want {
				return
			}
			next := s.next
			if s.idle() {
				p.unmap(s)
			}
			s = next
		}
	}
}

func (p *Pool) unmap(s *span) {
	p.stats.MappedBytes -= len(s.mem)
	p.stats.Unmapped++
	s.unmap()
}

// put takes r back from its lease.
func (p *Pool) put(s *span, r *record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Out--
	p.stats.OutBytes -= s.class.slab
	s.giveBack(r)
	if p.closed && s.idle() {
		p.unmap(s)
		p.endArena()
	}
}

// Trim unmaps the memory that no lease holds back, and returns how many bytes that was; a fixed pool keeps the memory for
// slabs of other sizes. Any goroutine.
func (p *Pool) Trim() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.stats.MappedBytes
	p.reclaim(p.maxBytes + 1)
	return before - p.stats.MappedBytes
}

// Close ends the pool: Get fails. While leases are held their memory stays and Close returns an error that wraps
// ErrInUse and says how many; it is unmapped as they come back. Close may be called again to learn whether that has
// happened. Any goroutine.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.reclaim(p.maxBytes + 1)
	p.endArena()
	if p.stats.Out == 0 {
		return nil
	}
	return fmt.Errorf("buffers: close pool: %d leases of %d bytes held: %w; the memory goes when they are back",
		p.stats.Out, p.stats.OutBytes, ErrInUse)
}

// PoolStats tells the state of a Pool.
type PoolStats struct {
	// MaxBytes and MaxSlab are the configuration, in bytes.
	MaxBytes, MaxSlab int
	// MappedBytes is the memory mapped now, OutBytes that of the slabs under lease and PeakOutBytes the most that ever
	// was; Out is the number of leases.
	MappedBytes, OutBytes, PeakOutBytes, Out int
	// Lent counts the leases made, Failed the calls of Get that could not be served, Unmapped the mappings given back
	// to the system, DoubleReleases the releases that came too late.
	Lent, Failed, Unmapped, DoubleReleases uint64
}

// Stats returns the pool's state, all at one moment. Any goroutine.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.MaxBytes, s.MaxSlab = p.maxBytes, p.maxSlab
	s.DoubleReleases = p.doubles.Load()
	return s
}
