//go:build linux

package file

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
)

// hint is what a file has learnt about asking the page cache first.
//
// An attempt that finds nothing costs about a microsecond for nothing, so after some of them only every retryEvery-th is
// made, until one finds something again ("cold"). And preadv2(2) costs a twentieth more than pread(2), so once the page
// cache has had everything for a while, an ordinary goroutine makes the ordinary system call ("hot"): now and then it asks
// again, to learn when that has changed, and it does not when many more callers are inside than there are processors to run
// them, as most of them wait for the disk then. (Some more are inside whenever the system takes a processor away.)
type hint struct {
	misses atomic.Uint32 // in a row; hintNever is a bit of it
	hits   atomic.Uint32 // in a row, up to hintHot
}

const (
	hintPatience = 4
	retryEvery   = 16
	hintNever    = 1 << 31
	hintHot      = 64
	hotProbe     = 64
	hotUsers     = 4 // times the processors
)

// worthwhile reports whether to ask the page cache, and counts what is left out.
func (h *hint) worthwhile() bool {
	n := h.misses.Load()
	if n < hintPatience {
		return true
	}
	if n&hintNever != 0 {
		return false
	}
	return h.misses.Add(1)%retryEvery == 0
}

// likely reports whether it is worth while to ask hot.
func (h *hint) likely() bool { return h.hits.Load() >= hintHot }

// hot reports whether the page cache surely has what is asked for, when users callers are inside.
func (h *hint) hot(users int64) bool {
	if h.hits.Load() < hintHot {
		return false
	}
	if users > hotUsers*int64(runtime.GOMAXPROCS(0)) {
		h.hits.Store(0)
		return false
	}
	return rand.Uint32()%hotProbe != 0
}

func (h *hint) hit() {
	if h.misses.Load() != 0 {
		h.misses.And(hintNever)
	}
	if h.hits.Load() < hintHot {
		h.hits.Add(1)
	}
}

func (h *hint) missed() {
	h.hits.Store(0)
	if h.misses.Load() < hintPatience {
		h.misses.Add(1)
	}
}

// never gives up: the file or its file system does not know the question.
func (h *hint) never() { h.misses.Or(hintNever) }

// spread is a counter that many goroutines add to at once, each mostly to a cache line of its own.
type spread [8]struct {
	n atomic.Uint64
	_ [56]byte
}

func (s *spread) load() (sum uint64) {
	for i := range s {
		sum += s[i].n.Load()
	}
	return sum
}

// add counts one for the owner of p.
func (s *spread) add(p []byte) { s[page(p)%uintptr(len(s))].n.Add(1) }
