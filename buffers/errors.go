package buffers

import "errors"

var (
	// ErrExhausted means that the pool's bound is reached: release leases, or raise PoolConfig.MaxBytes.
	ErrExhausted = errors.New("no memory left within the bound")
	// ErrClosed means that the pool was closed.
	ErrClosed = errors.New("closed")
	// ErrInUse means that Close left memory mapped because leases are held; it goes when the last is released.
	ErrInUse = errors.New("leases are still held")
)
