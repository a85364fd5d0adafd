//go:build linux

package reactorfallback

import (
	"fmt"
	"time"

	"github.com/ouro-io/ouro/buffers"
)

const (
	defaultEvents = 256
	defaultBurst  = 16
	defaultBlock  = 200 * time.Microsecond

	maxEvents = 1 << 16
	maxBurst  = 1 << 16
	maxBlock  = time.Second
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
	// Block is how long a Poll with nothing to do may stay inside the system call, which is the cheapest way to wait
	// while events come fast but holds a P of the Go scheduler, before it parks the goroutine in the Go runtime's
	// poller. Default 200 µs, at most 1 s.
	Block time.Duration
}

func (c *Config) fill() error {
	if c.Events == 0 {
		c.Events = defaultEvents
	}
	if c.Burst == 0 {
		c.Burst = defaultBurst
	}
	if c.Block == 0 {
		c.Block = defaultBlock
	}
	if err := limit("Events", c.Events, maxEvents); err != nil {
		return err
	}
	if err := limit("Burst", c.Burst, maxBurst); err != nil {
		return err
	}
	if c.Block < 0 || c.Block > maxBlock {
		return fmt.Errorf("reactorfallback: Config.Block is %v; use 0 for %v, or up to %v", c.Block, defaultBlock, maxBlock)
	}
	return nil
}

func limit(field string, v, most int) error {
	if v < 1 || v > most {
		return fmt.Errorf("reactorfallback: Config.%s is %d; use 0 for the default, or 1 to %d", field, v, most)
	}
	return nil
}
