//go:build linux

package file

import (
	"fmt"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

// Config configures New. The zero value works.
type Config struct {
	// Engine performs what ordinary goroutines cannot do at once. Default: one of its own, with one worker, started when
	// it is first needed. Coroutines use the engine that they run on.
	Engine *proactor.Engine
	// Backend chooses the backend of that engine, as in proactor.Config; only without Engine.
	Backend proactor.Backend
	// Threads bounds the threads that wait in system calls for goroutines where io_uring is missing, and the kernel's
	// worker threads of the engine that New starts. Default 32, at most 1024.
	Threads int
	// LeaseBytes bounds the memory that Lease and ReadAtLease lend when FixedBytes are lent, in bytes. Default 64 MiB, at
	// least 1 MiB.
	LeaseBytes int
	// FixedBytes bounds the memory, in bytes, that they lend first: that of the engine, which its rings register; see
	// proactor.Config. Default 16 MiB, negative none; only without Engine, which has its own.
	FixedBytes int
	// Log is told one line when io_uring is missing and why. Default: as in proactor.Config.
	Log func(string)
}

const (
	defaultThreads    = 32
	maxThreads        = 1024
	defaultLeaseBytes = 64 << 20
	minLeaseBytes     = 1 << 20
)

func (c Config) withDefaults() (Config, error) {
	if c.Threads == 0 {
		c.Threads = defaultThreads
	}
	if c.LeaseBytes == 0 {
		c.LeaseBytes = defaultLeaseBytes
	}
	switch {
	case c.Threads < 1 || c.Threads > maxThreads:
		return c, fmt.Errorf("file: Config.Threads is %d: use 1 to %d, or 0 for %d", c.Threads, maxThreads, defaultThreads)
	case c.LeaseBytes < minLeaseBytes:
		return c, fmt.Errorf("file: Config.LeaseBytes is %d: use at least %d bytes, or 0 for %d", c.LeaseBytes, minLeaseBytes, defaultLeaseBytes)
	case c.Engine != nil && c.FixedBytes != 0:
		return c, fmt.Errorf("file: Config.FixedBytes is %d beside an Engine, which has a FixedBytes of its own: leave one of them out", c.FixedBytes)
	case c.Engine != nil && c.Backend != proactor.Auto:
		return c, fmt.Errorf("file: Config.Backend is %v beside an Engine, which has a backend already: leave one of them out", c.Backend)
	}
	if c.Engine == nil && c.FixedBytes > 0 { // the engine would find out, but it starts later, where nobody is told
		p, err := buffers.NewPool(buffers.PoolConfig{Fixed: true, MaxBytes: c.FixedBytes})
		if err != nil {
			return c, fmt.Errorf("file: Config.FixedBytes: %w", err)
		}
		return c, p.Close()
	}
	return c, nil
}

func (c Config) engine() (*proactor.Engine, error) {
	return proactor.New(proactor.Config{
		Backend: c.Backend, Workers: 1, FileThreads: c.Threads, FixedBytes: c.FixedBytes, Log: c.Log,
		Buffers: buffers.GroupConfig{Count: 1, Size: 4096}, // no socket will ever need one
	})
}
