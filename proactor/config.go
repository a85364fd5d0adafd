//go:build linux

package proactor

import (
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/proactor/ringbackend"
)

// Backend chooses how operations are performed.
type Backend uint8

const (
	// Auto takes io_uring where it works and epoll otherwise.
	Auto Backend = iota
	// IOUring takes io_uring; New fails where it does not work.
	IOUring
	// Epoll takes the epoll reactor.
	Epoll
)

func (b Backend) String() string {
	switch b {
	case Auto:
		return "auto"
	case IOUring:
		return "io_uring"
	case Epoll:
		return "epoll"
	}
	return fmt.Sprintf("Backend(%d)", uint8(b))
}

// BackendEnv is the environment variable that decides where Config.Backend is Auto: auto, uring or epoll.
const BackendEnv = "OURO_BACKEND"

// Config configures an Engine. The zero value works.
type Config struct {
	// Backend chooses the backend. Auto asks the environment variable OURO_BACKEND first. A backend that was asked
	// for by name and cannot start is an error of New.
	Backend Backend
	// Workers is the number of workers, each with a backend of its own. Default runtime.GOMAXPROCS(0), at most
	// executor.MaxWorkers.
	Workers int
	// Buffers sizes each worker's receive buffers. Default 1024 of 68 KiB, of which only the pages
	// touched take memory: large ones halve the cost of bulk transfers and cost small messages nothing, and these hold
	// the largest UDP datagram with what stands in front of it. A datagram that does not fit is cut off.
	Buffers buffers.GroupConfig
	// ReceiveQuota is how many buffers with unread data one connection may hold from one turn to the next before the
	// engine stops receiving for it, and TCP slows the peer down. Within a turn eight times as many may arrive. Default
	// 8; at least 1.
	ReceiveQuota int
	// WriteQueue bounds the bytes that Conn.Send and PacketConn.Send keep for a socket; beyond it they return
	// ErrWriteQueueFull, but for a single lease or datagram, which is taken whatever its size when nothing is kept. A datagram
	// counts with 512 bytes more than it has. Default 1 MiB.
	WriteQueue int
	// RingEntries and RingCQEntries size the io_uring queues; see ringbackend.Config. Default 256, at most 32768, and 16
	// times RingEntries, at least RingEntries and at most 65536. Bad ones are refused with any backend.
	RingEntries, RingCQEntries uint32
	// FileThreads bounds, per worker, the threads on which operations on files wait that cannot be done otherwise: the
	// kernel's worker threads of each submitting thread, or with epoll our own. Default 32, at most 1024.
	FileThreads int
	// FixedBytes bounds the memory, in bytes, that Engine.Lease lends and that the io_uring rings register, so that it is
	// pinned once and not for each operation. Memory is taken, and pinned, in pieces of 2 MiB as it is first leased, and
	// kept until the engine ends. Default 16 MiB, negative none, at most 1 TiB (1 GiB on 32-bit systems); rounded up to
	// pieces.
	FixedBytes int
	// FixedSends has sends without a copy (Conn.SetZeroCopy) use that memory as registered, too. It is then in ordinary
	// pages instead of huge ones, with which the kernel cannot do that well, and reads of 64 KiB from a disk cost twice as
	// much CPU. It cannot pay but with a network card. Default false.
	FixedSends bool
	// Restrict says what the kernel lets the io_uring rings do, as defence in depth: by default what this library submits
	// and nothing else; ringbackend.RestrictSockets refuses operations on files too, for an engine that has none. The
	// epoll backend has no such thing.
	Restrict ringbackend.Restrict
	// IdleAfter is how long a worker without work waits inside the system call before it gives its P back.
	// Default: the backend's.
	IdleAfter time.Duration
	// StallAfter is how long a handler may keep its worker while others wait, before the worker is handed over.
	// Default 2 ms.
	StallAfter time.Duration
	// DemoteAfter is the number of hand-overs, or of shorter stalls in quick succession, after which a handler becomes
	// an ordinary goroutine: see executor.Config. Default 3; < 0 never.
	DemoteAfter int
	// TaskBudget is how many tasks a worker runs between two looks at its backend. Default 256.
	TaskBudget int
	// NoSteal keeps ready tasks on the worker where they became ready.
	NoSteal bool
	// Log is told of what the operator should know, one line each: the backend chosen and why it is not the better
	// one, panics in handlers. Default: package log.
	Log func(string)

	fixed *buffers.Pool // of FixedBytes
	bulk  bulk
	grace time.Duration
	// The parts that a simulation replaces.
	clock   executor.Clock
	rand    rand.Source
	system  op.System
	backend func(index int) (op.Backend, error)
}

const (
	defaultReceiveQuota = 8
	defaultWriteQueue   = 1 << 20
	defaultBufferSize   = packetMax + 4<<10 // a whole number of pages
	defaultRingEntries  = 256
	maxRingEntries      = 32768
	maxRingCQEntries    = 65536
)

func (c Config) withDefaults() (Config, error) {
	if c.Backend > Epoll {
		return c, fmt.Errorf("proactor: Config.Backend is %v: use Auto, IOUring or Epoll", c.Backend)
	}
	if c.Backend == Auto {
		var err error
		if c.Backend, err = backendFromEnv(os.Getenv(BackendEnv)); err != nil {
			return c, err
		}
	}
	if c.ReceiveQuota == 0 {
		c.ReceiveQuota = defaultReceiveQuota
	}
	if c.Buffers.Size == 0 {
		c.Buffers.Size = defaultBufferSize
	}
	if c.WriteQueue == 0 {
		c.WriteQueue = defaultWriteQueue
	}
	if c.ReceiveQuota < 1 {
		return c, fmt.Errorf("proactor: Config.ReceiveQuota is %d: use 1 or more buffers, or 0 for the default %d",
			c.ReceiveQuota, defaultReceiveQuota)
	}
	if c.WriteQueue < 1 {
		return c, fmt.Errorf("proactor: Config.WriteQueue is %d: use 1 or more bytes, or 0 for the default %d",
			c.WriteQueue, defaultWriteQueue)
	}
	if c.Restrict > ringbackend.RestrictNone {
		return c, fmt.Errorf("proactor: Config.Restrict is %d: use RestrictUsed, RestrictSockets or RestrictNone", c.Restrict)
	}
	if c.IdleAfter < 0 {
		return c, fmt.Errorf("proactor: Config.IdleAfter is %v: must not be negative", c.IdleAfter)
	}
	if err := c.checkRing(); err != nil {
		return c, err
	}
	if c.Log == nil {
		c.Log = func(s string) { log.Print("ouro: ", s) }
	}
	if c.bulk.size == 0 {
		c.bulk = bulk{size: bulkSize, reads: bulkReads}
	}
	if c.grace == 0 {
		c.grace = graceTime
	}
	if c.system == nil {
		c.system = &kernel{}
	}
	return c, nil
}

// checkRing is for what only a ring asks about: its refusal would count as that of a kernel without io_uring, and Auto would
// take epoll because of a slip in the configuration.
func (c Config) checkRing() error {
	if c.RingEntries > maxRingEntries {
		return fmt.Errorf("proactor: Config.RingEntries is %d: use 1 to %d, or 0 for the default %d",
			c.RingEntries, maxRingEntries, defaultRingEntries)
	}
	least := c.RingEntries
	if least == 0 {
		least = defaultRingEntries
	}
	if c.RingCQEntries != 0 && (c.RingCQEntries < least || c.RingCQEntries > maxRingCQEntries) {
		return fmt.Errorf("proactor: Config.RingCQEntries is %d: use RingEntries (%d) to %d, or 0 for the default",
			c.RingCQEntries, least, maxRingCQEntries)
	}
	return nil
}

func backendFromEnv(v string) (Backend, error) {
	switch v {
	case "", "auto":
		return Auto, nil
	case "uring", "io_uring":
		return IOUring, nil
	case "epoll":
		return Epoll, nil
	}
	return Auto, fmt.Errorf("proactor: %s=%q: use auto, uring or epoll", BackendEnv, v)
}
