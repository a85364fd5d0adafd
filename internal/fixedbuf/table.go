//go:build linux

package fixedbuf

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/uring"
)

// A Table is what one ring has registered of one pool: the chunk of number i at place i.
//
//	unasked ──first use──▶ registered (until the ring is closed)
//	   ▲            └────▶ refused ──retryEvery uses later──▶ unasked
//	   └──────────────────────────────────────────────────────┘
type Table struct {
	ring    *uring.Ring
	pool    *buffers.Pool // nil: nothing is registered, ever
	state   []uint32      // by chunk: registered, or how many uses to leave it alone
	charged int

	used, bytes, refused atomic.Uint64
	reason               atomic.Pointer[string]
}

const (
	registered = ^uint32(0)
	retryEvery = 4096
)

// Stats tells what a Table does. Any goroutine.
type Stats struct {
	// Used counts the operations that used registered memory, Bytes is what is registered, Refused counts the times that the
	// kernel, or the limit, did not let a chunk be registered.
	Used, Bytes, Refused uint64
}

// Init makes t the table of pool with ring, which has no buffers registered. It must come before restrictions are enabled;
// they must allow uring.AllowUpdateBuffers. It never fails: what cannot be registered is not, and Reason says why.
func (t *Table) Init(ring *uring.Ring, pool *buffers.Pool) {
	if pool == nil || pool.Chunks() == 0 {
		return
	}
	if err := ring.RegisterBuffersSparse(uint32(pool.Chunks())); err != nil {
		t.because(fmt.Errorf("leases are not registered with the ring: %w", err))
		return
	}
	t.ring, t.pool, t.state = ring, pool, make([]uint32, pool.Chunks())
}

// Place reports where the memory of p is registered with the ring, after registering it if this is its first use; false when
// it is not the pool's, or cannot be registered.
func (t *Table) Place(p []byte) (uint16, bool) {
	if t.pool == nil {
		return 0, false
	}
	i := t.pool.Chunk(p)
	if i < 0 {
		return 0, false
	}
	if s := &t.state[i]; *s != registered {
		if *s > 0 {
			*s--
			return 0, false
		}
		if !t.register(i) {
			return 0, false
		}
	}
	t.used.Store(t.used.Load() + 1) // one writer
	return uint16(i), true
}

//go:noinline
func (t *Table) register(i int) bool {
	if err := t.tryRegister(i); err != nil {
		t.state[i] = retryEvery
		t.refused.Add(1)
		t.because(fmt.Errorf("leases are not all registered with the ring: %w", err))
		return false
	}
	t.state[i] = registered
	t.bytes.Add(buffers.FixedChunk)
	return true
}

func (t *Table) tryRegister(i int) error {
	if err := budget.take(buffers.FixedChunk); err != nil {
		return err
	}
	_, err := t.ring.UpdateBuffers(uint32(i), [][]byte{t.pool.ChunkBytes(i)})
	if err != nil {
		budget.giveBack(buffers.FixedChunk)
		if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EACCES) {
			t.pool = nil // never
		}
		return err
	}
	t.charged += buffers.FixedChunk
	return nil
}

func (t *Table) because(err error) {
	s := err.Error()
	t.reason.Store(&s)
}

// Closed is to be called when the ring was closed.
func (t *Table) Closed() {
	budget.giveBack(t.charged)
	t.charged, t.pool = 0, nil
}

// Stats may be called from any goroutine.
func (t *Table) Stats() Stats {
	return Stats{Used: t.used.Load(), Bytes: t.bytes.Load(), Refused: t.refused.Load()}
}

// Reason says why something was not registered, empty when nothing was refused. Any goroutine.
func (t *Table) Reason() string {
	if s := t.reason.Load(); s != nil {
		return *s
	}
	return ""
}
