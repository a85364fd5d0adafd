//go:build linux

package simkernel

import "sync"

// ring is the provided-buffer ring: memory that belongs to the kernel until it is filled. The Group calls Add and
// Publish with its lock held, on any goroutine, so the ring has a lock of its own.
type ring struct {
	k     *Kernel
	watch bool

	mu     sync.Mutex
	added  []provided
	public []provided
	closed bool
}

type provided struct {
	mem []byte
	id  uint16
}

// untouched fills memory that the kernel owns.
const untouched = 0xdb

// Add takes a buffer over.
func (r *ring) Add(mem []byte, id uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		panic("simkernel: a buffer is added to a ring that was closed")
	}
	if r.watch {
		for i := range mem {
			mem[i] = untouched
		}
	}
	r.added = append(r.added, provided{mem, id})
}

// Publish shows what was added.
func (r *ring) Publish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.public = append(r.public, r.added...)
	r.added = r.added[:0]
}

// take takes the oldest buffer. The kernel's mu is held.
func (r *ring) take() ([]byte, int, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.public) == 0 {
		return nil, 0, false
	}
	p := r.public[0]
	r.public = r.public[1:]
	if r.watch {
		for _, b := range p.mem {
			if b != untouched {
				r.k.violate("buffer %d was written while it was the kernel's", p.id)
				break
			}
		}
	}
	return p.mem, int(p.id), true
}

func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}
