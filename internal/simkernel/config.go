//go:build linux

package simkernel

import (
	"maps"
	"sync"
	"time"
)

// Chooser takes the kernel's decisions. It is called by one goroutine at a time.
type Chooser interface {
	// Choose returns a number from 0 to n-1; n is at least 1.
	Choose(n int) int
}

// Dull always chooses 0.
type Dull struct{}

// Choose returns 0.
func (Dull) Choose(int) int { return 0 }

// Config configures a Kernel. The zero value works: a dull kernel without faults.
type Config struct {
	// Chooser takes the decisions. Default Dull.
	Chooser Chooser
	// SendBuffer and ReceiveBuffer are the bytes that a socket holds on their way out and for its reader. Default 256 KiB
	// each.
	SendBuffer, ReceiveBuffer int
	// MaxFiles is how many descriptors may be open. Default 1<<16.
	MaxFiles int
	// Faults are the rates of what goes wrong. Default nothing.
	Faults Faults
	// Watch has the kernel fill memory that it is given with a pattern, and look whether that was changed.
	Watch bool
	// Limit is how many things may happen; each Poll fails after that, so that a run that never rests ends. Default 0: no
	// limit.
	Limit int
	// Idle, if set, is called where a Poll would wait, by the goroutine that polls, without locks. Poll looks again at
	// what can happen when it reports true, and at the time that it returns, if any.
	Idle func(unlimited bool) (again bool, at time.Time)
	// Rest, if set, is called where a Poll of b would wait until end, or without limit, by the goroutine that polls, without
	// locks, and instead of Idle. Poll looks again when it returns, and ends when b was woken or end is over. With it
	// several backends can be polled by turns.
	Rest func(b *Backend, unlimited bool, end time.Time)
	// Told, if set, is called after each completion that was delivered, by the goroutine that polls, without locks.
	Told func()
}

// Faults are rates in 1/1000 of the occasions; 0 is never.
type Faults struct {
	// Interrupt ends an operation with EINTR, Orphan with ECANCELED that nobody asked for.
	Interrupt, Orphan int
	// End ends a multishot at a successful completion.
	End int
	// Short makes transfers shorter than they could be, Wait keeps a direct send from being taken at once (EAGAIN).
	Short, Wait int
	// Behind leaves the position of a disk file where it was before a short transfer, as io_uring does when it goes on by itself
	// and that fails.
	Behind int
	// Starve has a receive find no buffer although there is one.
	Starve int
	// Late keeps a cancel from taking effect at first (EALREADY).
	Late int
	// Reset resets a connection, Fail ends an operation with one of the other errors that it may return.
	Reset, Fail int
	// Refuse fails an accept for lack of something, or because of the connection that it would have taken.
	Refuse int
	// Stale delivers a completion under the identity of an operation that has ended.
	Stale int
	// Deny has a send without a copy fail although one with a copy would not, Hold has its memory lent until the peer has read
	// the bytes.
	Deny, Hold int
	// Lose has the network lose a datagram, Overtake has one go before others of its sender.
	Lose, Overtake int
	// Break breaks a backend for good.
	Break int
	// Stir ends a Poll although nothing has happened.
	Stir int
}

const (
	defaultBuffer   = 256 << 10
	defaultMaxFiles = 1 << 16
)

func (c Config) withDefaults() Config {
	if c.Chooser == nil {
		c.Chooser = Dull{}
	}
	if c.SendBuffer == 0 {
		c.SendBuffer = defaultBuffer
	}
	if c.ReceiveBuffer == 0 {
		c.ReceiveBuffer = defaultBuffer
	}
	if c.MaxFiles == 0 {
		c.MaxFiles = defaultMaxFiles
	}
	return c
}

// tally counts what was injected, by name.
type tally struct {
	mu sync.Mutex
	n  map[string]uint64
}

func (t *tally) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[string]uint64{}
	}
	t.n[name]++
}

func (t *tally) all() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.n)
}
