//go:build linux

package optest

import (
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

var (
	poolOfOne = buffers.GroupConfig{Size: 4096, Count: 1, Provide: 1}

	bufferChecks = []check{
		{name: "none left, and nothing lost", pool: poolOfOne, run: noBuffers},
		{name: "refill from another goroutine", pool: poolOfOne, run: refillElsewhere},
		{name: "two compete for one", pool: poolOfOne, run: twoCompete},
		{name: "lease outlives the operation", pool: poolOfOne, run: leaseOutlives},
	}
)

// noBuffers: with its only buffer out, Recv ends with ENOBUFS; armed again after the release it goes on with the very
// next byte.
func noBuffers(r *rig) {
	fd, peer := r.pair()
	w := r.op(op.Recv, fd)
	w.keep = true
	before := r.b.Stats().NoBuffers
	r.submit(w)
	const size = 64 << 10
	for i := range 8 {
		r.write(peer, pattern(i*size/8, size/8))
	}
	r.close(peer)
	starved := uint64(0)
	for {
		last := w.end()
		if last.errno == 0 {
			break
		}
		r.Equal(syscall.ENOBUFS, last.errno)
		starved++
		// ENOBUFS means that all is out.
		r.Len(w.leases, 1)
		w.release()
		r.submit(w)
	}
	w.release()
	r.Equal(pattern(0, size), w.data)
	r.GreaterOrEqual(starved, uint64(size/4096-1))
	r.Equal(before+starved, r.b.Stats().NoBuffers)
}

// refillElsewhere: OnRefill tells that it pays to arm again, wherever the buffer was released.
func refillElsewhere(r *rig) {
	var refilled atomic.Int64
	r.b.Buffers().OnRefill(func() {
		refilled.Add(1)
		r.b.Wake()
	})
	fd, peer := r.pair()
	w := r.op(op.Recv, fd)
	w.keep = true
	r.submit(w)
	starved := int64(0)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range 20 {
		r.write(peer, pattern(i*5000, 5000))
		for len(w.data) < (i+1)*5000 {
			r.until("data or no buffers", func() bool { return w.ended() || len(w.data) == (i+1)*5000 })
			ended := w.ended()
			l := w.leases
			w.leases = nil
			wg.Go(func() {
				for _, x := range l {
					x.Release()
				}
			})
			if ended {
				r.Equal(syscall.ENOBUFS, w.got[len(w.got)-1].errno)
				// The release may have come before, so the refills are counted from the beginning: one for each.
				starved++
				r.until("the refill", func() bool { return refilled.Load() >= starved })
				r.submit(w)
			}
		}
	}
	r.Equal(pattern(0, 100000), w.data)
	w.stop()
	w.release()
}

func twoCompete(r *rig) {
	fd1, peer1 := r.pair()
	fd2, peer2 := r.pair()
	a, b := r.op(op.Recv, fd1), r.op(op.Recv, fd2)
	r.submit(a)
	r.submit(b)
	for i := range 100 {
		r.write(peer1, pattern(i*100, 100))
		r.write(peer2, pattern(i*100, 100))
		r.until("both messages", func() bool {
			for _, w := range []*watched{a, b} {
				if w.ended() {
					r.Equal(syscall.ENOBUFS, w.got[len(w.got)-1].errno)
					r.submit(w)
				}
			}
			return len(a.data) == (i+1)*100 && len(b.data) == (i+1)*100
		})
	}
	r.Equal(pattern(0, 10000), a.data)
	r.Equal(pattern(0, 10000), b.data)
}

func leaseOutlives(r *rig) {
	fd, peer := r.pair()
	w := r.op(op.Recv, fd)
	w.keep = true
	r.submit(w)
	r.write(peer, []byte("kept"))
	r.until("data", func() bool { return len(w.data) == 4 })
	w.stop()
	r.close(fd)
	r.close(peer)
	r.idle()
	r.Equal("kept", string(w.leases[0].Bytes()))
	w.release()
}
