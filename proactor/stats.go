//go:build linux

package proactor

import (
	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/op"
)

// Stats counts what an engine has done. But for Conns, InFlight and Buffers all values only grow.
type Stats struct {
	// Conns is the number of connections and listeners open, InFlight that of operations in flight.
	Conns, InFlight int
	// Backend sums the workers' backends: operations, batches, system calls, ENOBUFS, overflows, re-armed multishots.
	Backend op.Stats
	// Rescued counts receives that went into memory of their own because the worker's buffers were all in use.
	Rescued uint64
	// ZeroCopySends counts sends without a copy (Conn.SetZeroCopy), ZeroCopyCopied those of them that the kernel copied
	// all the same, as it does over loopback.
	ZeroCopySends, ZeroCopyCopied uint64
	// Leases is the state of the memory that Engine.Lease lends; Backend.Fixed counts the operations that had it registered.
	Leases buffers.PoolStats
	// Executor has tasks, steals, hand-overs, demotions, panics.
	Executor executor.Stats
	// Buffers has one entry per worker.
	Buffers []buffers.GroupStats
}

// Stats returns the counters.
func (e *Engine) Stats() Stats {
	s := Stats{Executor: e.ex.Stats()}
	if e.fixed != nil {
		s.Leases = e.fixed.Stats()
	}
	for _, l := range e.loops {
		b := l.backend.Stats()
		s.Backend.Submitted += b.Submitted
		s.Backend.Completed += b.Completed
		s.Backend.Syscalls += b.Syscalls
		s.Backend.Polls += b.Polls
		s.Backend.NoBuffers += b.NoBuffers
		s.Backend.Overflows += b.Overflows
		s.Backend.Rearmed += b.Rearmed
		s.Backend.Fixed += b.Fixed
		s.Backend.FixedBytes += b.FixedBytes
		s.Backend.FixedRefused += b.FixedRefused
		s.InFlight += l.backend.InFlight()
		s.Conns += int(l.load.Load())
		s.Rescued += l.starved.Load()
		s.ZeroCopySends += l.zeroCopied[0].Load()
		s.ZeroCopyCopied += l.zeroCopied[1].Load()
		s.Buffers = append(s.Buffers, l.backend.Buffers().Stats())
	}
	return s
}
