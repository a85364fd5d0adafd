package buffers

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func newPool(t testing.TB, c PoolConfig) *Pool {
	p, err := NewPool(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func get(t testing.TB, p *Pool, n int) Lease {
	l, err := p.Get(n)
	require.NoError(t, err)
	require.Equal(t, n, l.Len())
	return l
}

func TestPoolConfig(t *testing.T) {
	s := newPool(t, PoolConfig{}).Stats()
	require.Equal(t, []int{64 << 20, 1 << 20}, []int{s.MaxBytes, s.MaxSlab})
	require.Equal(t, 128<<20, newPool(t, PoolConfig{MaxSlab: 128 << 20}).Stats().MaxBytes)
	require.Equal(t, 64<<10, newPool(t, PoolConfig{MaxBytes: 100 << 10}).Stats().MaxSlab)
	for _, c := range []PoolConfig{{MaxSlab: -1}, {MaxSlab: 256}, {MaxSlab: 3000}, {MaxSlab: topSlab + 1}} {
		_, err := NewPool(c)
		require.ErrorContains(t, err, "PoolConfig.MaxSlab", "%+v", c)
	}
	for _, c := range []PoolConfig{{MaxBytes: -1}, {MaxBytes: 1}, {MaxBytes: 1 << 20, MaxSlab: 2 << 20}} {
		_, err := NewPool(c)
		require.ErrorContains(t, err, "PoolConfig.MaxBytes", "%+v", c)
	}
}

func TestClassOf(t *testing.T) {
	for n, slab := range map[int]int{0: 512, 1: 512, 512: 512, 513: 1024, 1024: 1024, 1025: 2048, 4096: 4096,
		1<<20 - 1: 1 << 20, 1 << 20: 1 << 20, 1<<30 - 1: 1 << 30} {
		require.Equal(t, slab, minSlab<<classOf(n), "%d bytes", n)
	}
}

func TestPoolSizesAndAlignment(t *testing.T) {
	p := newPool(t, PoolConfig{})
	for n := 0; n <= 1<<20; n = 2*n + 1 {
		a, b := get(t, p, n), get(t, p, n)
		require.GreaterOrEqual(t, a.Held(), n)
		require.Equal(t, n, cap(a.Bytes()))
		if n > 2048 {
			for _, l := range []Lease{a, b} {
				at, err := strconv.ParseUint(fmt.Sprintf("%p", &l.Bytes()[0]), 0, 64)
				require.NoError(t, err)
				require.Zero(t, at%4096, "%d bytes", n)
			}
		}
		a.Release()
		b.Release()
	}
	_, err := p.Get(1<<20 + 1)
	require.ErrorContains(t, err, "PoolConfig.MaxSlab")
	_, err = p.Get(-1)
	require.Error(t, err)
}

func TestPoolReusesHotMemory(t *testing.T) {
	p := newPool(t, PoolConfig{})
	a, b := get(t, p, 600), get(t, p, 600)
	at := &a.Bytes()[0]
	b.Release()
	a.Release()
	c := get(t, p, 1000)
	require.Same(t, at, &c.Bytes()[0])
	c.Release()
}

func TestPoolOfOne(t *testing.T) {
	page := os.Getpagesize()
	p := newPool(t, PoolConfig{MaxBytes: page, MaxSlab: page})
	a := get(t, p, page)
	for _, n := range []int{1, page} {
		_, err := p.Get(n)
		require.ErrorIs(t, err, ErrExhausted)
	}
	a.Release()
	// The one page serves another class once it is free.
	b := get(t, p, 1)
	_, err := p.Get(page)
	require.ErrorIs(t, err, ErrExhausted)
	b.Release()
	get(t, p, page).Release()
	s := p.Stats()
	require.Equal(t, page, s.MappedBytes)
	require.EqualValues(t, 3, s.Failed)
	require.EqualValues(t, 2, s.Unmapped)
}

// TestPoolBound fills the pool with every class in turn: each gets all of the bytes, and not one more.
func TestPoolBound(t *testing.T) {
	const bound = 256 << 10
	p := newPool(t, PoolConfig{MaxBytes: bound, MaxSlab: 128 << 10})
	for n := minSlab; n <= 128<<10; n *= 2 {
		var held []Lease
		for {
			l, err := p.Get(n)
			if err != nil {
				require.ErrorIs(t, err, ErrExhausted)
				break
			}
			held = append(held, l)
			require.LessOrEqual(t, p.Stats().MappedBytes, bound)
		}
		require.Len(t, held, bound/n)
		for _, l := range held {
			l.Release()
		}
	}
	require.Equal(t, bound, p.Stats().PeakOutBytes)
	require.Equal(t, bound, p.Trim())
	require.Zero(t, p.Stats().MappedBytes)
	require.Zero(t, p.Trim())
}

func TestPoolTrimKeepsWhatIsLent(t *testing.T) {
	p := newPool(t, PoolConfig{})
	a, b := get(t, p, 100<<10), get(t, p, 512)
	get(t, p, 4096).Release()
	a.Bytes()[0], b.Bytes()[0] = 1, 2
	require.Equal(t, spanBytes, p.Trim())
	require.EqualValues(t, 1, a.Bytes()[0])
	require.EqualValues(t, 2, b.Bytes()[0])
	a.Release()
	b.Release()
}

// TestPoolReclaimsFromTheMiddle: idle spans go wherever they stand in their class's list, the others stay usable.
func TestPoolReclaimsFromTheMiddle(t *testing.T) {
	const perSpan, spans = spanBytes / 4096, 5
	for idle := range 1 << spans {
		p := newPool(t, PoolConfig{})
		var held []Lease
		for range perSpan * spans {
			held = append(held, get(t, p, 4096))
		}
		want := 0
		var keep []Lease
		for i := range spans {
			of := held[i*perSpan : (i+1)*perSpan]
			if idle>>i&1 == 1 {
				want += spanBytes
			} else {
				// One slab stays out, so that the span is listed but not idle.
				keep = append(keep, of[0])
				of = of[1:]
			}
			for _, l := range of {
				l.Release()
			}
		}
		require.Equal(t, want, p.Trim())
		require.Equal(t, spans*spanBytes-want, p.Stats().MappedBytes)
		for range perSpan * spans {
			l := get(t, p, 4096)
			mark(l, 1)
			keep = append(keep, l)
		}
		for _, l := range keep {
			l.Release()
		}
	}
}

func TestPoolCloseWithLeasesOut(t *testing.T) {
	p, err := NewPool(PoolConfig{})
	require.NoError(t, err)
	before := mapped.Load()
	a, b := get(t, p, 700), get(t, p, 100<<10)
	copy(a.Bytes(), "data")
	err = p.Close()
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, "2 leases")
	_, err = p.Get(1)
	require.ErrorIs(t, err, ErrClosed)
	b.Release()
	require.Equal(t, "data", string(a.Slice(0, 4).Bytes()))
	require.ErrorIs(t, p.Close(), ErrInUse)
	a.Release()
	require.NoError(t, p.Close())
	require.Equal(t, before, mapped.Load())
	a.Release()
	require.EqualValues(t, 1, p.Stats().DoubleReleases)
	require.Panics(t, func() { a.Bytes() })
}

func TestPoolAllocatesNothing(t *testing.T) {
	p := newPool(t, PoolConfig{})
	keep := get(t, p, 4096)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		l, _ := p.Get(3000)
		l.Release()
	}))
	keep.Release()
}

// TestPoolFromEverywhere: goroutines hold, check and pass on slabs of a pool that is too small for them.
func TestPoolFromEverywhere(t *testing.T) {
	const goroutines, rounds = 4, 3000
	p := newPool(t, PoolConfig{MaxBytes: 128 << 10, MaxSlab: 64 << 10})
	swap := make(chan Lease, 4)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				l, err := p.Get((g*7919 + i*104729) % (64 << 10))
				if err != nil {
					if !errors.Is(err, ErrExhausted) {
						t.Error(err)
					}
				} else {
					mark(l, byte(i))
					select {
					case swap <- l:
					default:
						l.Release()
					}
				}
				select {
				case l := <-swap:
					if !marked(l) {
						t.Error("a slab was overwritten under its lease")
					}
					l.Release()
				default:
				}
			}
		})
	}
	wg.Wait()
	close(swap)
	for l := range swap {
		l.Release()
	}
	s := p.Stats()
	require.Zero(t, s.Out)
	require.Zero(t, s.OutBytes)
	require.Zero(t, s.DoubleReleases)
}

// mark writes b at the ends of l, marked reports whether the same is at both.
func mark(l Lease, b byte) {
	if p := l.Bytes(); len(p) > 0 {
		p[0], p[len(p)-1] = b, b
	}
}

func marked(l Lease) bool {
	p := l.Bytes()
	return len(p) == 0 || p[0] == p[len(p)-1]
}

func BenchmarkPool(b *testing.B) {
	p := newPool(b, PoolConfig{})
	keep := get(b, p, 4096)
	defer keep.Release()
	b.ReportAllocs()
	for b.Loop() {
		l, _ := p.Get(4096)
		l.Release()
	}
}
