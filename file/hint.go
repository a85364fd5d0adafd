//go:build linux

package file

import "sync/atomic"

// hint is what a file has learnt about asking the page cache first. An attempt that finds nothing costs about a
// microsecond for nothing, so after some of them only every retryEvery-th is made, until one finds something again.
type hint struct{ misses atomic.Uint32 }

const (
	hintPatience = 4
	retryEvery   = 16
	hintNever    = 1 << 31
)

// worthwhile reports whether to try, and counts what is left out.
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

func (h *hint) hit() {
	if h.misses.Load() != 0 {
		h.misses.And(hintNever)
	}
}

func (h *hint) missed() {
	if h.misses.Load() < hintPatience {
		h.misses.Add(1)
	}
}

// never gives up: the file or its file system does not know the question.
func (h *hint) never() { h.misses.Or(hintNever) }
