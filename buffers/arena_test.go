package buffers

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func newFixed(t testing.TB, bytes int) *Pool {
	return newPool(t, PoolConfig{Fixed: true, MaxBytes: bytes})
}

func TestFixedConfig(t *testing.T) {
	require.Equal(t, 16<<20, newPool(t, PoolConfig{Fixed: true}).Stats().MaxBytes)
	p := newFixed(t, 3<<20)
	require.Equal(t, []int{4 << 20, 1 << 20, 2}, []int{p.Stats().MaxBytes, p.Stats().MaxSlab, p.Chunks()})
	p = newFixed(t, 1) // rounded up, and with slabs of the usual size
	require.Equal(t, []int{2 << 20, 1 << 20, 1}, []int{p.Stats().MaxBytes, p.Stats().MaxSlab, p.Chunks()})
	require.Zero(t, newPool(t, PoolConfig{}).Chunks())
	_, err := NewPool(PoolConfig{Fixed: true, MaxSlab: 4 << 20})
	require.ErrorContains(t, err, "MaxSlab")
	_, err = NewPool(PoolConfig{Fixed: true, MaxBytes: -1})
	require.ErrorContains(t, err, "MaxBytes")
}

// Every lease lies within the chunk that Chunk names, aligned to its size up to a page, and no two overlap.
func TestFixedLeasesLieInChunks(t *testing.T) {
	p := newFixed(t, 8<<20)
	before := mapped.Load()
	require.Equal(t, -1, p.Chunk(make([]byte, 8)), "nothing is mapped yet")
	for round := range 20 {
		r := rand.New(rand.NewPCG(1, uint64(round)))
		var held []Lease
		taken := make([]bool, p.Stats().MaxBytes/512)
		for {
			l, err := p.Get(1 + r.IntN(1<<(9+r.IntN(12))))
			if err != nil {
				require.ErrorIs(t, err, ErrExhausted)
				break
			}
			i := p.Chunk(l.Bytes())
			require.GreaterOrEqual(t, i, 0)
			from := distance(p.arena.Load().mem, l.Bytes())
			require.Equal(t, from/FixedChunk, i)
			require.Equal(t, i, p.Chunk(l.Bytes()[l.Len()-1:]))
			require.Zero(t, from%min(4096, l.Held()))
			for at := from; at < from+l.Held(); at += 512 {
				require.False(t, taken[at/512], "two leases overlap")
				taken[at/512] = true
			}
			held = append(held, l)
		}
		r.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
		for _, l := range held {
			l.Release()
		}
		require.Zero(t, p.Stats().OutBytes)
	}
	require.Equal(t, before+int64(len(p.arena.Load().whole)), mapped.Load(), "one mapping for all")
}

// What slabs of one size have had is there for those of another.
func TestFixedChunksChangeClass(t *testing.T) {
	p := newFixed(t, 4<<20)
	for range 3 {
		for _, size := range []int{4096, 1 << 20, 512, 64 << 10, 256 << 10} {
			var held []Lease
			for range 4 << 20 / size {
				l, err := p.Get(size)
				require.NoError(t, err, "%d after %d", size, len(held))
				held = append(held, l)
			}
			_, err := p.Get(size)
			require.ErrorIs(t, err, ErrExhausted)
			for _, l := range held {
				l.Release()
			}
		}
	}
}

func TestChunkOfOtherMemory(t *testing.T) {
	p, q := newFixed(t, 4<<20), newFixed(t, 4<<20)
	a, b := get(t, p, 1<<20), get(t, q, 4096)
	require.Equal(t, -1, p.Chunk(b.Bytes()))
	require.Equal(t, -1, q.Chunk(a.Bytes()))
	require.Equal(t, -1, p.Chunk(nil))
	require.Equal(t, -1, p.Chunk(make([]byte, 4096)))
	mem := p.arena.Load().mem
	require.Equal(t, 0, p.Chunk(mem[:FixedChunk]))
	require.Equal(t, -1, p.Chunk(mem[1:FixedChunk+1]), "across two chunks")
	require.Equal(t, 1, p.Chunk(mem[FixedChunk:]))
	require.Equal(t, distance(mem, p.ChunkBytes(1)), FixedChunk)
	a.Release()
	b.Release()
}

// The memory stays under a lease that outlives the pool.
func TestFixedCloseWithLeases(t *testing.T) {
	before := mapped.Load()
	p, err := NewPool(PoolConfig{Fixed: true, MaxBytes: 2 << 20})
	require.NoError(t, err)
	a, b := get(t, p, 5000), get(t, p, 100)
	copy(a.Bytes(), "data")
	b.Release()
	require.ErrorIs(t, p.Close(), ErrInUse)
	require.Equal(t, "data", string(a.Bytes()[:4]))
	require.Equal(t, 0, p.Chunk(a.Bytes()))
	_, err = p.Get(1)
	require.ErrorIs(t, err, ErrClosed)
	a.Release()
	require.NoError(t, p.Close())
	require.Equal(t, before, mapped.Load())
}
