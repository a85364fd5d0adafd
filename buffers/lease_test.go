package buffers

import (
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestZeroLease(t *testing.T) {
	var l Lease
	require.False(t, l.Valid())
	require.Nil(t, l.Bytes())
	require.Zero(t, l.Len())
	require.Zero(t, l.Held())
	require.False(t, l.Slice(0, 0).Valid())
	before := DoubleReleases()
	l.Release()
	l.Release()
	require.Equal(t, before, DoubleReleases())
	require.Panics(t, func() { l.Charge(new(Quota), 1) })
}

// TestSizes: leases are passed by value, and a buffer's record fills one cache line, so that two workers' releases of
// neighbours meet in none.
func TestSizes(t *testing.T) {
	if reflect.TypeFor[uintptr]().Size() != 8 {
		t.Skip("sizes are given for 64-bit systems")
	}
	require.EqualValues(t, 32, reflect.TypeFor[Lease]().Size())
	require.EqualValues(t, 64, reflect.TypeFor[record]().Size())
}

func TestSlice(t *testing.T) {
	l := Wrap([]byte("abcdef"))
	defer l.Release()
	s := l.Slice(1, 5)
	require.Equal(t, "bcde", string(s.Bytes()))
	require.Equal(t, "cd", string(s.Slice(1, 3).Bytes()))
	require.Equal(t, 4, s.Len())
	require.Equal(t, 6, s.Held())
	require.Equal(t, "abcdef", string(l.Bytes()), "slicing takes nothing away")
	require.Empty(t, l.Slice(6, 6).Bytes())

	// An append must not run into the bytes that follow.
	_ = append(s.Bytes(), 'X')
	require.Equal(t, "abcdef", string(l.Bytes()))

	for _, b := range [][2]int{{-1, 2}, {3, 2}, {0, 5}, {5, 5}} {
		require.Panics(t, func() { s.Slice(b[0], b[1]) }, "%v", b)
	}
}

func TestReleaseOnceAmongCopies(t *testing.T) {
	g := newGroup(t, GroupConfig{Size: 64, Count: 1})
	l := fill(t, g, 10)
	c, s := l, l.Slice(2, 4)
	s.Release()
	require.Zero(t, g.Stats().Out)
	l.Release()
	c.Release()
	require.EqualValues(t, 2, g.Stats().DoubleReleases)

	// The buffer is lent again: the old lease must not end the new one.
	n := fill(t, g, 5)
	l.Release()
	require.Equal(t, 1, g.Stats().Out)
	require.EqualValues(t, 3, g.Stats().DoubleReleases)
	n.Release()
	require.Equal(t, 1, g.Stats().Free)
}

// TestReleaseRace lets many goroutines release copies of one lease: one of them must win, each round.
func TestReleaseRace(t *testing.T) {
	const rounds, racers = 200, 4
	g := newGroup(t, GroupConfig{Size: 64, Count: 2})
	for i := range rounds {
		l := fill(t, g, 1)
		var wg sync.WaitGroup
		for range racers {
			wg.Go(l.Release)
		}
		wg.Wait()
		s := g.Stats()
		require.Zero(t, s.Out)
		require.Equal(t, 2, s.Free)
		require.EqualValues(t, (i+1)*(racers-1), s.DoubleReleases)
	}
}

func TestWrap(t *testing.T) {
	p := []byte("hello")
	require.EqualValues(t, 1, testing.AllocsPerRun(100, func() { Wrap(p).Release() }))
	l := Wrap(p)
	require.Same(t, &p[0], &l.Bytes()[0])
	before := DoubleReleases()
	l.Release()
	l.Release()
	require.Equal(t, before+1, DoubleReleases())

	empty := Wrap(nil)
	require.True(t, empty.Valid())
	require.Zero(t, empty.Len())
	empty.Release()
}

// TestWrapFunc: it is told of the one Release that counts.
func TestWrapFunc(t *testing.T) {
	told := 0
	l := WrapFunc([]byte("hello"), func() { told++ })
	part := l.Slice(1, 3)
	require.Equal(t, "el", string(part.Bytes()))
	require.Zero(t, told)
	part.Release()
	l.Release()
	require.Equal(t, 1, told)
}

func TestCharge(t *testing.T) {
	g := newGroup(t, GroupConfig{Size: 100, Count: 3})
	var q Quota
	var resumed atomic.Int32
	require.NoError(t, q.Init(QuotaConfig{Limit: 200, Low: 100, OnResume: func() {
		// Who is told to go on must find the buffer back.
		require.GreaterOrEqual(t, g.Stats().Free, 1)
		resumed.Add(1)
	}}))
	var ls []Lease
	for i := range 3 {
		l := fill(t, g, 1)
		require.Equal(t, i < 2, l.Charge(&q, l.Held()), "lease %d", i)
		ls = append(ls, l)
	}
	require.Equal(t, 300, q.Held())
	require.Panics(t, func() { ls[0].Charge(&q, 1) }, "charged twice")
	ls[0].Release()
	ls[0].Release()
	require.Equal(t, 200, q.Held(), "a double release credits nothing")
	require.Zero(t, resumed.Load())
	ls[1].Slice(0, 0).Release()
	require.EqualValues(t, 1, resumed.Load())
	ls[2].Release()
	require.Zero(t, q.Held())
	require.EqualValues(t, 1, resumed.Load())

	// The next lease of the same buffer owes nothing.
	fill(t, g, 1).Release()
	require.Zero(t, q.Held())
	require.Panics(t, func() { Wrap(nil).Charge(&q, -1) })

	// Nor does it for one that was charged too late.
	late := fill(t, g, 1)
	late.Release()
	require.Panics(t, func() { late.Charge(&q, 1) }, "released before")
	require.Zero(t, q.Held())
	next := fill(t, g, 1)
	require.True(t, next.Charge(&q, 1))
	next.Release()
	require.Zero(t, q.Held())
}
