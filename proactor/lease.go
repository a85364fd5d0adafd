//go:build linux

package proactor

import (
	"fmt"

	"github.com/ouro-io/ouro/buffers"
)

// Memory that the engine lends. All rings of the engine register it, each the chunks that its operations use; what an
// operation needs is found by its address (internal/fixedbuf), so that neither Call nor Conn knows of it.

func fixedPool(bytes int, small bool) (*buffers.Pool, error) {
	if bytes < 0 {
		return nil, nil
	}
	p, err := buffers.NewPool(buffers.PoolConfig{Fixed: true, MaxBytes: bytes, SmallPages: small})
	if err != nil {
		return nil, fmt.Errorf("proactor: Config.FixedBytes: %w", err)
	}
	return p, nil
}

// Lease lends n bytes, up to 1 MiB, aligned to 4 KiB if n is at least that, as O_DIRECT needs. Reads and writes of files
// that the engine makes with them on io_uring need not pin the memory each time, nor, with Config.FixedSends, sends without
// a copy. It fails with an error that wraps buffers.ErrExhausted when Config.FixedBytes are lent, or are none, and never
// waits. Whoever has the lease releases it, before Shutdown.
func (e *Engine) Lease(n int) (buffers.Lease, error) {
	if e.fixed == nil {
		return buffers.Lease{}, fmt.Errorf("proactor: Config.FixedBytes is negative, so the engine lends no memory: %w", buffers.ErrExhausted)
	}
	return e.fixed.Get(n)
}

// FixedPool is the pool behind Lease, for rings beside the engine's; nil where there is none.
func (e *Engine) FixedPool() *buffers.Pool { return e.fixed }

// fixedReason is Info.Fixed.
func (e *Engine) fixedReason() string {
	for _, l := range e.loops {
		if b, ok := l.backend.(interface{ FixedReason() string }); ok && b.FixedReason() != "" {
			return b.FixedReason()
		}
	}
	return ""
}
