//go:build linux

package ringbackend

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/uring"
)

// Config sizes a ring. The zero value works.
type Config struct {
	// Entries is the length of the submission queue, 1 to 32768, default 256. A longer turn enters the kernel more
	// than once.
	Entries uint32
	// CQEntries is the length of the completion queue, Entries to 65536, default 16 × Entries within that: one submission
	// of a multishot brings many completions. What does not fit is kept back by the kernel and costs an extra turn.
	CQEntries uint32
	// Buffers sizes the memory that receives fill.
	Buffers buffers.GroupConfig
	// FileThreads bounds the kernel's worker threads that each thread submitting to this ring may have for operations on
	// files that cannot be done without waiting (io_uring_register(2), IORING_REGISTER_IOWQ_MAX_WORKERS; what is more
	// waits). Default 32, at most 1024.
	FileThreads int
	// Fixed is a pool made with PoolConfig.Fixed whose memory is registered with the ring as it is first used, so that reads and
	// writes of files, and with PoolConfig.SmallPages sends without a copy, are spared the pinning. Default: none.
	Fixed *buffers.Pool
	// Restrict says what the kernel lets the ring do. Default RestrictUsed.
	Restrict Restrict
	// IdleAfter is how long a worker with nothing to do waits inside io_uring_enter, once to twice, before it waits in
	// the Go runtime's poller and gives its P back; also how often a busy one lets others have its P. Default 1 ms, 100 µs
	// to 10 ms.
	IdleAfter time.Duration
}

const (
	defaultEntries   = 256
	maxEntries       = 32768
	maxCQEntries     = 65536
	defaultFiles     = 32
	maxFiles         = 1024
	minIdleAfter     = 100 * time.Microsecond
	defaultIdleAfter = time.Millisecond
	maxIdleAfter     = 10 * time.Millisecond
)

func (c Config) withDefaults() (Config, error) {
	if c.Entries == 0 {
		c.Entries = defaultEntries
	}
	if c.CQEntries == 0 {
		c.CQEntries = min(16*c.Entries, maxCQEntries) // an Entries that overflows is refused below
	}
	if c.FileThreads == 0 {
		c.FileThreads = defaultFiles
	}
	if c.IdleAfter == 0 {
		c.IdleAfter = defaultIdleAfter
	}
	switch {
	case c.Entries > maxEntries:
		return c, fmt.Errorf("ringbackend: Entries is %d, at most %d", c.Entries, maxEntries)
	case c.CQEntries < c.Entries || c.CQEntries > maxCQEntries: // the kernel would cut it
		return c, fmt.Errorf("ringbackend: CQEntries is %d, must be Entries (%d) to %d, or 0", c.CQEntries, c.Entries, maxCQEntries)
	case c.FileThreads < 1 || c.FileThreads > maxFiles:
		return c, fmt.Errorf("ringbackend: FileThreads is %d, must be 1 to %d, or 0 for %d", c.FileThreads, maxFiles, defaultFiles)
	case c.Restrict >= restrictCount:
		return c, fmt.Errorf("ringbackend: Restrict is %d, use RestrictUsed, RestrictSockets or RestrictNone", c.Restrict)
	case c.IdleAfter < minIdleAfter || c.IdleAfter > maxIdleAfter:
		return c, fmt.Errorf("ringbackend: IdleAfter is %v, must be from %v to %v, or 0", c.IdleAfter, minIdleAfter, maxIdleAfter)
	}
	return c, nil
}

const (
	baseFlags = uring.SetupClamp | uring.SetupSubmitAll | uring.SetupCoopTaskrun | uring.SetupTaskrunFlag
	// The kernel returns the memory charge of a closed ring about 15 ms later, so ENOMEM is worth another try.
	memoryRetries = 3
	memoryWait    = 20 * time.Millisecond
	leastEntries  = 8
)

// setup walks down the ladder: without the optional flag, then smaller while the memory limit refuses.
func setup(c Config) (*uring.Ring, error) {
	flags := baseFlags | uring.SetupNoSQArray
	if c.Restrict != RestrictNone {
		flags |= uring.SetupRDisabled // until enable
	}
	entries, cq := c.Entries, c.CQEntries
	for tries := 0; ; {
		r, err := uring.Setup(uring.Params{Entries: entries, CQEntries: cq, Flags: flags})
		switch {
		case err == nil:
			return r, nil
		case errors.Is(err, syscall.EINVAL) && flags&uring.SetupNoSQArray != 0:
			flags &^= uring.SetupNoSQArray
		case errors.Is(err, syscall.ENOMEM) && tries < memoryRetries:
			tries++
			time.Sleep(memoryWait)
		case errors.Is(err, syscall.ENOMEM) && entries > leastEntries:
			entries, cq = entries/2, max(cq/2, entries/2)
		default:
			return nil, err
		}
	}
}
