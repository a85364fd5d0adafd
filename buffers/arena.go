package buffers

import "fmt"

// An arena is the memory of a Pool made with PoolConfig.Fixed: one stretch of addresses, mapped at the first lease, in
// chunks of FixedChunk bytes that begin at a multiple of it. A chunk is what a ring registers (IORING_REGISTER_BUFFERS), so a
// span lies within one. Where the system has huge pages a chunk is one of them: its memory is in one piece for a disk as
// well, which spares the kernel a segment per 4 KiB.
//
// Invariants. A chunk once touched keeps its pages until the arena is unmapped: a ring that has registered them goes on
// reading and writing these pages, whatever the addresses may have become in between. So a span that ends only gives its
// addresses back to its chunk (used), and the arena is unmapped when the pool is closed and no span is left. Guarded by
// Pool.mu, but for mem, which is written before anybody can know of it.
type arena struct {
	whole []byte   // what was mapped
	mem   []byte   // the chunks in it
	used  []uint32 // by chunk: a bit for each of its units that belongs to a span
}

const (
	// FixedChunk is the unit, in bytes, in which the memory of a Pool made with PoolConfig.Fixed is registered with rings.
	FixedChunk = 2 << 20
	arenaUnit  = FixedChunk / 32
)

// mapArena maps n bytes, a multiple of FixedChunk. Only what is touched takes memory.
func mapArena(n int, small bool) (*arena, error) {
	whole, err := mapMemory(n + FixedChunk)
	if err != nil {
		return nil, err
	}
	mem := whole[untilChunk(whole):][:n]
	if !small {
		wantHuge(mem)
	}
	return &arena{whole: whole, mem: mem, used: make([]uint32, n/FixedChunk)}, nil
}

// take returns size bytes, a power of two and at most a chunk, that begin at a multiple of size; nil when no chunk has them.
func (a *arena) take(size int) []byte {
	n := max(1, size/arenaUnit)
	bits := uint32(1<<n - 1)
	for i, used := range a.used {
		for at := 0; at < 32; at += n {
			if used&(bits<<at) == 0 {
				a.used[i] |= bits << at
				from := i*FixedChunk + at*arenaUnit
				return a.mem[from : from+size : from+size]
			}
		}
	}
	return nil
}

// giveBack undoes take.
func (a *arena) giveBack(mem []byte) {
	from := distance(a.mem, mem)
	bits := uint32(1<<max(1, len(mem)/arenaUnit) - 1)
	a.used[from/FixedChunk] &^= bits << (from % FixedChunk / arenaUnit)
}

// Chunk tells where in p's registered memory the bytes of b lie: the number of the chunk. It is -1 for other memory, and
// where p was not made with PoolConfig.Fixed. Any goroutine.
func (p *Pool) Chunk(b []byte) int {
	a := p.arena.Load()
	if a == nil || len(b) == 0 {
		return -1
	}
	from := distance(a.mem, b)
	if from < 0 || from >= len(a.mem) {
		return -1
	}
	i := from / FixedChunk
	if from+len(b) > (i+1)*FixedChunk {
		return -1
	}
	return i
}

// Chunks is the number of chunks that p may have, 0 unless it was made with PoolConfig.Fixed.
func (p *Pool) Chunks() int {
	if !p.fixed {
		return 0
	}
	return p.maxBytes / FixedChunk
}

// SmallPages reports whether the memory of p is in ordinary pages (PoolConfig.SmallPages).
func (p *Pool) SmallPages() bool { return p.small }

// ChunkBytes is the memory of a chunk that Chunk has named. It stays mapped while any lease of p is held, and until p is closed.
func (p *Pool) ChunkBytes(i int) []byte {
	return p.arena.Load().mem[i*FixedChunk:][:FixedChunk:FixedChunk]
}

// mapSpan maps the memory of a span. The caller holds mu.
func (p *Pool) mapSpan(size int) ([]byte, error) {
	if !p.fixed {
		return mapMemory(size)
	}
	a := p.arena.Load()
	if a == nil {
		var err error
		if a, err = mapArena(p.maxBytes, p.small); err != nil {
			return nil, err
		}
		p.arena.Store(a)
	}
	mem := a.take(size)
	if mem == nil {
		p.reclaim(p.maxBytes + 1) // spans of other classes lie in between
		if mem = a.take(size); mem == nil {
			return nil, fmt.Errorf("no %d bytes in a piece are left: %w", size, ErrExhausted)
		}
	}
	return mem, nil
}

// unmapSpan undoes mapSpan. The caller holds mu, and has taken the span off MappedBytes.
func (p *Pool) unmapSpan(mem []byte) {
	if !p.fixed {
		unmapMemory(mem)
		return
	}
	p.arena.Load().giveBack(mem)
}

// endArena unmaps the arena of a pool that is closed and has no span left. The caller holds mu.
func (p *Pool) endArena() {
	if a := p.arena.Load(); a != nil && p.closed && p.stats.MappedBytes == 0 {
		p.arena.Store(nil)
		unmapMemory(a.whole)
	}
}
