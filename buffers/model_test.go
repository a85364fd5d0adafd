package buffers

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// groupModel runs a Group against a plain account of where each buffer must be. What is in a buffer tells whose it is:
// every owner writes a mark of its own and finds it again when it lets go, so that a buffer in two places shows.
type groupModel struct {
	t          require.TestingT
	g          *Group
	ring       *fakeRing // nil while detached
	taken      []uint16
	takenMem   map[uint16][]byte
	held       []markedLease
	stale      []Lease
	nextMark   byte
	starving   bool
	want, seen int // calls of OnRefill's function
	doubles    uint64
}

type markedLease struct {
	Lease
	mark byte
}

func newGroupModel(t require.TestingT, c GroupConfig) *groupModel {
	g, err := NewGroup(c)
	require.NoError(t, err)
	m := &groupModel{t: t, g: g, takenMem: map[uint16][]byte{}}
	g.OnRefill(func() { m.seen++ })
	return m
}

// step does one operation; both bytes come from the fuzzer. An operation that is impossible now does nothing.
func (m *groupModel) step(what, pick byte) {
	switch what % 11 {
	case 0, 1:
		m.kernelFills(int(pick))
	case 2:
		m.kernelWastes()
	case 3:
		m.take()
	case 4:
		m.takenEnds(int(pick), true)
	case 5:
		m.takenEnds(int(pick), false)
	case 6, 7:
		m.release(int(pick))
	case 8:
		m.releaseStale(int(pick))
	case 9:
		m.grow()
	case 10:
		if pick%4 == 0 {
			m.attachOrDetach()
		} else {
			m.starve()
		}
	}
	m.check()
}

func (m *groupModel) own(l Lease) {
	m.nextMark++
	for i := range l.Bytes() {
		l.Bytes()[i] = m.nextMark
	}
	m.held = append(m.held, markedLease{l, m.nextMark})
}

func (m *groupModel) kernelFills(n int) {
	if m.ring == nil {
		return
	}
	if mem, id, ok := m.ring.consume(); ok {
		l := m.g.Filled(id, n%(len(mem)+1))
		require.Equal(m.t, n%(len(mem)+1), l.Len())
		m.own(l)
	}
}

func (m *groupModel) kernelWastes() {
	if m.ring == nil {
		return
	}
	if _, id, ok := m.ring.consume(); ok {
		m.back()
		m.g.Put(id)
	}
}

func (m *groupModel) take() {
	free := m.g.Stats().Free
	mem, id, ok := m.g.Take()
	require.Equal(m.t, free > 0, ok)
	if !ok {
		return
	}
	m.nextMark++
	for i := range mem {
		mem[i] = m.nextMark
	}
	m.taken = append(m.taken, id)
	require.NotContains(m.t, m.takenMem, id)
	m.takenMem[id] = mem
}

func (m *groupModel) takenEnds(pick int, filled bool) {
	if len(m.taken) == 0 {
		return
	}
	i := pick % len(m.taken)
	id := m.taken[i]
	m.taken = append(m.taken[:i], m.taken[i+1:]...)
	mem := m.takenMem[id]
	delete(m.takenMem, id)
	for _, b := range mem {
		require.Equal(m.t, mem[0], b, "a taken buffer was overwritten")
	}
	if !filled {
		m.back()
		m.g.Put(id)
		return
	}
	l := m.g.Filled(id, len(mem))
	require.Same(m.t, &mem[0], &l.Bytes()[0])
	m.own(l)
}

func (m *groupModel) release(pick int) {
	if len(m.held) == 0 {
		return
	}
	i := pick % len(m.held)
	l := m.held[i]
	m.held = append(m.held[:i], m.held[i+1:]...)
	for _, b := range l.Bytes() {
		require.Equal(m.t, l.mark, b, "a leased buffer was overwritten")
	}
	m.back()
	l.Slice(0, l.Len()/2).Release()
	m.stale = append(m.stale, l.Lease)
}

func (m *groupModel) releaseStale(pick int) {
	if len(m.stale) > 0 {
		m.stale[pick%len(m.stale)].Release()
		m.doubles++
	}
}

// back notes that a buffer is about to come back, which ends a starving.
func (m *groupModel) back() {
	if m.starving {
		m.starving = false
		m.want++
	}
}

func (m *groupModel) available() bool {
	if m.ring != nil {
		return len(m.ring.published) > 0
	}
	return m.g.Stats().Free > 0
}

func (m *groupModel) grow() {
	before := m.g.Stats()
	ok := m.g.Grow()
	require.Equal(m.t, m.available(), ok)
	if m.ring != nil && !ok {
		require.Zero(m.t, before.Free, "Grow said no while buffers were free")
	}
}

func (m *groupModel) starve() {
	m.starving = true
	if m.available() {
		m.back()
	}
	m.g.Starve()
}

func (m *groupModel) attachOrDetach() {
	if m.ring == nil {
		m.ring = &fakeRing{}
		m.g.Attach(m.ring)
		return
	}
	m.g.Detach()
	m.ring = nil
}

// check compares everything that is counted, and that each buffer is in one place.
func (m *groupModel) check() {
	s := m.g.Stats()
	kernel := 0
	if m.ring != nil {
		require.Empty(m.t, m.ring.added, "added but not published")
		kernel = len(m.ring.published)
		for _, id := range m.ring.published {
			require.NotContains(m.t, m.takenMem, id)
		}
	}
	require.Equal(m.t, kernel, s.Provided)
	require.Equal(m.t, len(m.taken), s.Taken)
	require.Equal(m.t, len(m.held), s.Out)
	require.Equal(m.t, s.Count, s.Free+s.Provided+s.Taken+s.Out, "a buffer was lost")
	require.LessOrEqual(m.t, s.Provided, s.Target)
	require.LessOrEqual(m.t, s.Target, s.Count)
	require.Equal(m.t, m.doubles, s.DoubleReleases)
	require.Equal(m.t, m.want, m.seen, "calls of OnRefill's function")
	require.EqualValues(m.t, m.seen, s.Refills)
	require.EqualValues(m.t, len(m.stale), s.Released)
	require.EqualValues(m.t, len(m.stale)+len(m.held), s.Filled)
}

// finish closes with everything as it is and then gives it back.
func (m *groupModel) finish() {
	err := m.g.Close()
	m.ring, m.starving = nil, false
	if len(m.held)+len(m.taken) > 0 {
		require.ErrorIs(m.t, err, ErrInUse)
	}
	for len(m.held) > 0 {
		m.release(0)
	}
	for len(m.taken) > 0 {
		m.takenEnds(0, false)
	}
	require.NoError(m.t, m.g.Close())
}

func runGroupModel(t require.TestingT, count, provide int, ops []byte) {
	m := newGroupModel(t, GroupConfig{Size: 8, Count: count, Provide: provide})
	for i := 0; i+1 < len(ops); i += 2 {
		m.step(ops[i], ops[i+1])
	}
	m.finish()
}

func TestGroupModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, 12).Draw(t, "count")
		provide := rapid.IntRange(1, count).Draw(t, "provide")
		runGroupModel(t, count, provide, rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "ops"))
	})
}

func FuzzGroup(f *testing.F) {
	f.Add(byte(1), byte(1), []byte{10, 0, 0, 5, 9, 0, 10, 1, 6, 0, 8, 0})
	f.Add(byte(4), byte(2), []byte{3, 0, 4, 0, 10, 0, 0, 1, 0, 2, 9, 0, 6, 1, 5, 0, 10, 4})
	f.Fuzz(func(t *testing.T, count, provide byte, ops []byte) {
		n := int(count)%64 + 1
		runGroupModel(t, n, int(provide)%n+1, ops)
	})
}

// TestPoolModel: in any order of Get, Release, Trim and double release no slab is lent twice and the bound holds.
func TestPoolModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.IntRange(4, 80).Draw(t, "pages") * 4096
		p, err := NewPool(PoolConfig{MaxBytes: max(bound, os.Getpagesize())})
		require.NoError(t, err)
		var held []markedLease
		var stale []Lease
		bytes := 0
		t.Repeat(map[string]func(*rapid.T){
			"get": func(t *rapid.T) {
				n := rapid.IntRange(0, p.Stats().MaxSlab).Draw(t, "n")
				l, err := p.Get(n)
				if err != nil {
					require.ErrorIs(t, err, ErrExhausted)
					require.NotEmpty(t, held, "exhausted while nothing is lent")
					return
				}
				m := byte(len(held) + len(stale))
				for i := range l.Bytes() {
					l.Bytes()[i] = m
				}
				bytes += l.Held()
				held = append(held, markedLease{l, m})
			},
			"release": func(t *rapid.T) {
				if len(held) == 0 {
					return
				}
				i := rapid.IntRange(0, len(held)-1).Draw(t, "i")
				l := held[i]
				held = append(held[:i], held[i+1:]...)
				for _, b := range l.Bytes() {
					if b != l.mark {
						t.Fatal("a slab was overwritten under its lease")
					}
				}
				bytes -= l.Held()
				l.Release()
				stale = append(stale, l.Lease)
			},
			"again": func(t *rapid.T) {
				if len(stale) > 0 {
					rapid.SampledFrom(stale).Draw(t, "stale").Release()
				}
			},
			"trim": func(*rapid.T) { p.Trim() },
			"": func(t *rapid.T) {
				s := p.Stats()
				require.Equal(t, len(held), s.Out)
				require.Equal(t, bytes, s.OutBytes)
				require.LessOrEqual(t, s.OutBytes, s.MappedBytes)
				require.LessOrEqual(t, s.MappedBytes, s.MaxBytes)
			},
		})
		_ = p.Close()
		for _, l := range held {
			l.Release()
		}
		require.NoError(t, p.Close())
		require.Zero(t, p.Stats().MappedBytes)
	})
}
