//go:build linux

package ringbackend

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// FuzzCompletions feeds a backend completion queue entries that its kernel never posted: of operations in flight, of
// ones that have ended, of slots and generations that never were, with and without a buffer, success and every errno, in
// any order. Three bytes make one entry. What the kernel cannot do is left out: a buffer is filled once, and only
// multishots go on.
//
// Each operation must be told of its own entries and of no others, once, up to the last; the others must leave nothing
// behind: no buffer, no descriptor.
//
// A stream is cut at longestStream: the fuzzer takes as many runs to shorten an interesting one as the square of its length,
// a minute of them, and does nothing else meanwhile.
func FuzzCompletions(f *testing.F) {
	open(f, Config{}).Close() // skips where there is no ring; asking at each run would take longer than the run
	f.Add([]byte{0, 1, 1, 3, 1, 1, 0, 2, 0})
	f.Add([]byte{1, 5, 1, 1, 5, 0, 1, 5, 1, 1, 5, 0, 9, 1, 1})
	f.Add([]byte{0, 168, 0, 2, 168, 0, 1, 168, 0, 4, 168, 0, 3, 188, 0, 0, 1, 3}) // ENOBUFS, ECANCELED
	f.Fuzz(func(t *testing.T, stream []byte) {
		b, err := New(Config{Entries: 8, Buffers: buffers.GroupConfig{Size: 64, Count: 8, Provide: 8}})
		require.NoError(t, err)
		s := newFlight(t, b)
		stream = stream[:min(len(stream), 3*longestStream)]
		for ; len(stream) >= 3; stream = stream[3:] {
			s.entry(stream[0], stream[1], stream[2])
		}
		s.land()
	})
}

// longestStream is enough for each operation to end some times, and for buffers to be used again.
const longestStream = 32

// flight is a set of operations in flight, one of each kind.
type flight struct {
	*require.Assertions
	b    *Backend
	ops  []*flier
	old  []op.Ref
	null int
}

type flier struct {
	op.Op
	s     *flight
	told  int // completions
	last  op.Completion
	ended bool
}

func newFlight(t *testing.T, b *Backend) *flight {
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	s := &flight{Assertions: require.New(t), b: b, null: null}
	s.NoError(err)
	for _, k := range []op.Kind{op.Recv, op.Accept, op.Send, op.RecvInto, op.RecvMsg, op.Poll, op.Nop} {
		o := &flier{s: s, Op: op.Op{Kind: k}}
		o.Done = o
		s.put(o)
		s.ops = append(s.ops, o)
	}
	return s
}

// put has o in flight without the kernel's knowledge.
func (s *flight) put(o *flier) {
	ref := s.b.table.Put(&o.Op)
	s.b.armFrom(ref.Slot())
	o.told, o.ended = 0, false
}

// Complete is told by the backend.
func (o *flier) Complete(x *op.Op, c *op.Completion) {
	o.s.Same(&o.Op, x)
	o.s.False(o.ended, "told after the end")
	o.s.Equal(c.More, o.InFlight())
	o.told++
	o.ended = !c.More
	o.last = *c
	o.s.Equal(c.Lease.Valid(), c.Lease.Len() > 0)
	c.Lease.Release()
	if o.Kind == op.Accept && c.Errno == 0 {
		o.s.NoError(unix.Close(int(c.Result)))
	}
}

// entry posts one entry: who chooses whose it is, res the result, flags the rest.
func (s *flight) entry(who, res, flags byte) {
	o := s.ops[int(who)%len(s.ops)]
	ref, live := o.Ref(), true
	switch {
	case flags&4 != 0 && len(s.old) > 0:
		ref, live = s.old[int(who)%len(s.old)], false
	case flags&8 != 0:
		ref, live = ref+1<<32, false // a generation that is to come
	case flags&16 != 0:
		ref, live = ref+100, false // a slot that is not there
	}
	multi := o.Kind == op.Recv || o.Kind == op.Accept || o.Kind == op.RecvMsg
	cqe := uring.CQE{UserData: uint64(ref), Res: int32(res % 64)}
	if res >= 64 {
		cqe.Res = -int32(res - 63)
	}
	if flags&1 != 0 && multi && cqe.Res >= 0 {
		cqe.Flags |= uring.CQEMore
	}
	if kind := ref.Kind(); cqe.Res >= 0 && (kind == op.Recv || kind == op.RecvMsg) && cqe.Res > 0 {
		cqe.Flags |= uring.CQEBuffer | uint32(s.buffer())<<16
	}
	if ref.Kind() == op.Accept && cqe.Res >= 0 {
		fd, err := unix.FcntlInt(uintptr(s.null), unix.F_DUPFD_CLOEXEC, 0)
		s.NoError(err)
		cqe.Res = int32(fd)
	}
	s.post(o, cqe, live)
}

func (s *flight) post(o *flier, cqe uring.CQE, live bool) {
	told := make([]int, len(s.ops))
	for i, x := range s.ops {
		told[i] = x.told
	}
	ref := o.Ref()
	n := s.b.deliver(&cqe)
	for i, x := range s.ops {
		want := told[i]
		if live && x == o {
			want++
		}
		if want != x.told { // asked at every entry of every operation, where Equal would take most of the time
			s.Equal(want, x.told, "a %v was told %d times", x.Kind, x.told-told[i])
		}
	}
	s.Equal(live, n == 1)
	if !live {
		return
	}
	c := o.last
	switch {
	case cqe.Res >= 0:
		s.Equal(op.Completion{Lease: c.Lease, Result: cqe.Res, More: cqe.More()}, c)
	case -cqe.Res == int32(syscall.ENOBUFS) && (o.Kind == op.Recv || o.Kind == op.RecvMsg):
		s.Contains([]syscall.Errno{syscall.ENOBUFS, syscall.EINTR}, c.Errno)
	default:
		s.Equal(syscall.Errno(-cqe.Res), c.Errno)
	}
	if o.ended {
		s.old = append(s.old, ref)
		s.put(o)
	}
}

// buffer is one that the kernel could fill: all are with it whenever no completion is being told.
func (s *flight) buffer() uint16 {
	g := s.b.Buffers().Stats()
	s.Equal(g.Count, g.Provided, "buffers are missing")
	return uint16(len(s.old) % g.Count)
}

// land ends all and checks that nothing is left.
func (s *flight) land() {
	for _, o := range s.ops {
		s.b.table.Drop(&o.Op)
	}
	s.NoError(unix.Close(s.null))
	g := s.b.Buffers().Stats()
	s.Zero(g.Out + g.Taken)
	s.Zero(g.DoubleReleases)
	s.NoError(s.b.Close())
}
