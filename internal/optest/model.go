//go:build linux

package optest

import (
	"math/rand/v2"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

var modelChecks = []check{
	{name: "random life, big pool", pool: buffers.GroupConfig{Size: 1024, Count: 256}, run: randomLife},
	{name: "random life, two buffers", pool: buffers.GroupConfig{Size: 512, Count: 2, Provide: 2}, run: randomLife},
}

// A stream is one direction's model: what was sent and what came.
type stream struct {
	w        *watched
	fd, peer int
	sent     int
	closed   bool
}

// randomLife takes random steps on a few connections and checks after all that each delivered exactly what was sent,
// in order, through any number of cancels, re-arms, starvations and held leases.
func randomLife(r *rig) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 99))
		r.t.Logf("seed %d", seed)
		all := make([]*stream, 1+rnd.IntN(4))
		for i := range all {
			fd, peer := r.pair()
			all[i] = &stream{w: r.op(op.Recv, fd), fd: fd, peer: peer}
			all[i].w.keep = true
		}
		for range 300 {
			step(r, rnd, all[rnd.IntN(len(all))])
		}
		for _, s := range all {
			finish(r, s, all)
		}
	}
}

func step(r *rig, rnd *rand.Rand, s *stream) {
	switch rnd.IntN(8) {
	case 0, 1, 2:
		// Bounded, so that the blocking write never waits for this very goroutine.
		if n := 1 + rnd.IntN(3000); !s.closed && s.sent+n-len(s.w.data) < 48<<10 {
			r.write(s.peer, pattern(s.sent, n))
			s.sent += n
		}
	case 3:
		if s.w.pending == 0 {
			r.submit(s.w)
		}
	case 4:
		r.b.Cancel(&s.w.Op)
	case 5:
		s.w.release()
	case 6:
		if rnd.IntN(20) == 0 && !s.closed {
			s.closed = true
			r.close(s.peer)
		}
	default:
		_, err := r.b.Poll(0)
		r.NoError(err)
	}
}

func finish(r *rig, s *stream, all []*stream) {
	if !s.closed {
		r.close(s.peer)
	}
	r.until("the end of a stream", func() bool {
		for _, x := range all {
			x.w.release()
		}
		if s.w.pending == 1 {
			return false
		}
		if n := len(s.w.got); n > 0 && s.w.got[n-1] == (told{}) && len(s.w.data) == s.sent {
			return true
		}
		if n := len(s.w.got); n > 0 {
			r.Contains([]syscall.Errno{0, syscall.ECANCELED, syscall.ENOBUFS}, s.w.got[n-1].errno)
		}
		r.submit(s.w)
		return false
	})
	r.Equal(string(pattern(0, s.sent)), string(s.w.data))
	r.close(s.fd)
}
