//go:build linux

package netpark

import "runtime"

// Pace decides how a worker waits for its backend: inside the system call with its P held, or parked in the Go
// runtime's poller.
//
// Holding is by far the cheapest for the short pauses of a busy worker. A P that is given up in a system call has the
// runtime's monitor thread run every 20 µs to take it away, a time-out programs a timer twice per wait (on virtual
// machines that alone is a third of an echo), and parking puts the Go scheduler between event and worker. Measured
// with one connection, server and client on one CPU: holding 0.45–0.51× std net's CPU per echo, parking 0.98–1.1×;
// with 64 connections there is no difference.
//
// But who holds a P keeps it from everybody else, perhaps from the very goroutine that it waits for. So holding has to
// earn its keep:
//
//	hold ──brought nothing between two ticks──▶ idle: park until something comes
//	  ▲                                        │
//	  └──── skip waits that park instead ◀─────┘
//
// A tick, every millisecond, comes from the backend while its worker holds. skip doubles each time that holding came to
// nothing and is halved by each hold that did not, so a worker whose events come from goroutines that need the P, or
// come rarely, soon parks nearly always. And where there is but one P, one wait after each tick parks in any case, so
// that what is ready in the runtime's poller gets its turn.
//
// The zero Pace holds. It belongs to the worker.
type Pace struct {
	idle    bool
	once    bool // the next wait parks
	held    bool // the last one did not
	since   int  // completions that holding brought since the last tick
	skip    int  // waits that park after holding came to nothing
	skipped int  // of them so far
	ticks   uint32
	single  bool // there is one P
}

const (
	leastSkip = 16
	mostSkip  = 1024

	// yieldTicks is the number of ticks after which a worker yields where there is more than one P. One that does not
	// yield at all is preempted by the runtime every 10 ms, all workers at the same moment; they then change places,
	// and each finds its operations armed on the other's thread. More often would only wake idle Ps for nothing.
	yieldTicks = 5
)

// Hold reports whether the wait that begins now is to keep the P.
func (p *Pace) Hold() bool {
	p.held = false
	switch {
	case p.idle:
	case p.once:
		p.once = false
	case p.skipped < p.skip:
		p.skipped++
	default:
		p.held = true
	}
	return p.held
}

// Idle reports whether nothing happened between the last two ticks, nor since.
func (p *Pace) Idle() bool { return p.idle }

// unparkAfter is the number of waits without a park after which the parker goes.
const unparkAfter = 4

// DropParker reports whether a worker that has not parked for the last unused waits is to take its descriptor out of the
// runtime's poller: as long as it is there each event also wakes the thread that waits in the poller, for nothing
// (measured on two CPUs: 10 µs of CPU per event, about what registering costs). With one P no thread waits there, and
// the parker is in use at each tick.
func (p *Pace) DropParker(unused int) bool { return unused >= unparkAfter && !p.single }

// Idled has the worker park until something happens, as after two ticks without.
func (p *Pace) Idled() { p.idle = true }

// Delivered notes n completions, more than 0, since the last wait began.
func (p *Pace) Delivered(n int) {
	p.idle = false
	if p.held {
		p.since += n
		p.skip /= 2
	}
}

// Held reports whether the last wait kept the P, and so its thread.
func (p *Pace) Held() bool { return p.held }

// Tick notes a tick, and reports whether the worker is to call runtime.Gosched.
func (p *Pace) Tick() (yield bool) {
	if p.since == 0 {
		p.idle = true
		p.skip = min(max(2*p.skip, leastSkip), mostSkip)
		p.skipped = 0
		return false
	}
	p.since = 0
	p.ticks++
	if p.single = runtime.GOMAXPROCS(0) == 1; p.single {
		p.once = true
		return true
	}
	return p.ticks%yieldTicks == 0
}
