//go:build linux

package proactor

import (
	"time"

	"github.com/ouro-io/ouro/executor"
)

// Bulk data. A receive ahead goes into a buffer of the engine's, and Read copies it a second time, from memory that is no
// longer in the processor's cache. For small messages that is nothing; in bulk it was a quarter of a server's CPU. So who
// reads much at a time reads directly into his own memory, for as long as he does: the multishot receive ends, and Read
// makes the system call, and waits by a poll where it has to (conn_poll.go, as after NoReadAhead).
//
//	ahead ──score full: Reads of bulkSize or more──▶ leaving ahead ──the receive has ended, the inbox is read──▶ direct
//	  ▲                                                                                                           │
//	  └───────────────────score 0: smaller Reads; or ReadLease, which wants the engine's buffers ◀────────────────┘
//
// The score is one up for each large Read and one down for each small one, so a reader that alternates between a header and
// a body stays where it is. Its ends are bulkReads apart: a change costs a cancel, or a receive armed anew.
//
// direct says that nobody receives ahead; passing says that it may be switched back, and is set only with direct. Invariants:
//
//	a. A direct receive runs only while its caller has the read turn, recv is not in flight and the inbox is empty. recv is
//	   submitted while wantRecv, which only a reader ahead sets, with the same turn (waitForData). So of the two ways one runs
//	   at a time, and no byte overtakes another.
//	b. Who comes back from a wait finds whatever mode there is then: read goes round between the two ways.
const (
	// bulkSize is what a large Read takes, in bytes.
	bulkSize = 32 << 10
	// bulkReads is how many more of them than small ones change the mode.
	bulkReads = 8
	// directTurn is how long a coroutine reads, without ever having to wait, before the others have their turn; after each
	// directStep bytes it looks at the clock, and the first look begins the turn. Who takes it in full again and again is a
	// slow handler to the executor, and goes on as a goroutine, which is where half of the gain comes from (ARCHITECTURE.md,
	// "Bulk reads").
	directTurn = 200 * time.Microsecond
	directStep = 256 << 10
)

// bulk says when Reads are large; tests have their own.
type bulk struct {
	size  int
	reads int8
}

// scored takes the size of a Read that is done into account, and changes the mode. It reports whether a kick is needed.
// Only called where the score is not 0 or n is large, which is what keeps it from the way of small messages. mu is held.
//
//go:noinline
func (c *Conn) scored(n int) (kick bool) {
	w, b := c.waits(), c.loop.engine.bulk
	if n >= b.size {
		w.score = min(w.score+1, b.reads)
		if w.score < b.reads || c.direct || c.h != nil {
			return false
		}
		c.direct, w.passing = true, true
		c.notify() // who waits for the receive goes on by itself
		return c.recvOn
	}
	if w.score > 0 {
		if w.score--; w.score == 0 {
			c.readAhead()
		}
	}
	return false
}

// readAhead ends what scored began. The next reader arms the receive. mu is held.
func (c *Conn) readAhead() {
	if w := c.wait; w != nil && w.passing {
		w.passing, w.score = false, 0
		c.direct, c.wantRecv = false, false
	}
}

// shareTurn lets the worker's others run when a coroutine has read for long without having to wait. mu is held, and released
// meanwhile; the caller has not the read turn.
func (c *Conn) shareTurn() {
	w := c.wait
	if w == nil || w.unbroken < directStep {
		return
	}
	w.unbroken = 0
	switch now := c.loop.engine.clock.Now(); {
	case w.turnEnds == 0:
		w.turnEnds = now + int64(directTurn)
		return
	case now < w.turnEnds:
		return
	}
	w.turnEnds = 0
	c.mu.Unlock()
	executor.Yield()
	c.mu.Lock()
}
