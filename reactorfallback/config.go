//go:build linux

package reactorfallback

import (
	"fmt"
	"time"

	"github.com/ouro-io/ouro/buffers"
)

const (
	defaultEvents    = 256
	defaultBurst     = 16
	defaultIdleAfter = time.Millisecond

	defaultFileThreads = 32

	maxFileThreads = 1024
	maxEvents      = 1 << 16
	maxBurst       = 1 << 16
	minIdleAfter   = 100 * time.Microsecond
	maxIdleAfter   = 10 * time.Millisecond
)

// Config configures a Reactor. The zero value works.
type Config struct {
	// Buffers describes the pool that Recv takes its memory from.
	Buffers buffers.GroupConfig
	// Events is how many descriptors one epoll_wait may report. Default 256, at most 65536.
	Events int
	// Burst is how many completions the readers of one descriptor (Recv, RecvInto, Accept) may get in one Poll
	// before the other descriptors have their turn. Default 16, at most 65536.
	Burst int
	// FileThreads bounds the goroutines, and so the threads, that make the system calls of operations on files; what is
	// more waits. Default 32, at most 1024.
	FileThreads int
	// IdleAfter is how long a worker with nothing to do waits inside the system call, once to twice, before it waits in
	// the Go runtime's poller and gives its P back; also how often a busy one lets others have its P. Default 1 ms, 100 µs
	// to 10 ms.
	IdleAfter time.Duration
}

func (c *Config) fill() error {
	if c.Events == 0 {
		c.Events = defaultEvents
	}
	if c.Burst == 0 {
		c.Burst = defaultBurst
	}
	if c.FileThreads == 0 {
		c.FileThreads = defaultFileThreads
	}
	if c.IdleAfter == 0 {
		c.IdleAfter = defaultIdleAfter
	}
	if err := limit("Events", c.Events, maxEvents); err != nil {
		return err
	}
	if err := limit("Burst", c.Burst, maxBurst); err != nil {
		return err
	}
	if err := limit("FileThreads", c.FileThreads, maxFileThreads); err != nil {
		return err
	}
	if c.IdleAfter < minIdleAfter || c.IdleAfter > maxIdleAfter {
		return fmt.Errorf("reactorfallback: Config.IdleAfter is %v; use 0 for %v, or from %v to %v", c.IdleAfter,
			defaultIdleAfter, minIdleAfter, maxIdleAfter)
	}
	return nil
}

func limit(field string, v, most int) error {
	if v < 1 || v > most {
		return fmt.Errorf("reactorfallback: Config.%s is %d; use 0 for the default, or 1 to %d", field, v, most)
	}
	return nil
}
