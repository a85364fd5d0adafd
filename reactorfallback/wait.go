//go:build linux

package reactorfallback

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ouro-io/ouro/internal/netpark"
	"golang.org/x/sys/unix"
)

// A waker ends waits from other goroutines. Its state is
//
//	awake     nobody waits and nobody asked
//	asleep    the worker waits or is about to; only it sets this, from awake
//	notified  a wake-up was asked for; the worker takes it back to awake when it leaves a Poll
//
// A Wake that finds notified has nothing to do, one that finds awake only leaves its note, and only one that finds
// asleep writes to the eventfd. That write may come after the worker was woken by something else and left; the event
// then ends a later wait, which finds its state still asleep and goes on waiting.
type waker struct {
	state  atomic.Uint32
	mu     sync.Mutex // held around the write, so that the descriptor is not closed under it
	fd     int
	writes atomic.Uint64
}

const (
	awake = iota
	asleep
	notified

	// wakeGen is the generation under which the eventfd is registered. Files never have it.
	wakeGen = 0
)

var one = []byte{1, 0, 0, 0, 0, 0, 0, 0}

// Wake ends the Poll that is under way, or the next one that may wait. Safe from any goroutine, also after Close.
// It costs a system call only when the worker sleeps.
func (r *Reactor) Wake() {
	w := &r.waker
	if w.state.Load() == notified || w.state.Swap(notified) != asleep {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		w.writes.Add(1)
		// It cannot fail: the counter overflows after 2^64 wake-ups. Any byte order will do.
		unix.Write(w.fd, one)
	}
}

func (w *waker) leave() {
	if w.state.Load() == notified {
		w.state.Store(awake)
	}
}

func (w *waker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		unix.Close(w.fd)
		w.fd = -1
	}
}

// wait asks the kernel and waits up to d, without limit when d < 0. It reports whether a Wake ended it.
//
// There are two ways to wait. Inside the system call an event is with us soonest and cheapest, but the wait holds a P, and
// the runtime's monitor runs every 20 µs to see whether to take it away: measured, 1 ms so costs 250 µs of CPU. In the
// Go runtime's poller the wait is free, but its end costs the wake-up of a thread and a goroutine. So the worker blocks
// for as long as Config.Block, if the last wait was that short, and parks otherwise.
func (r *Reactor) wait(d time.Duration) (woken bool) {
	if !r.waker.state.CompareAndSwap(awake, asleep) {
		r.take(r.epollNow())
		return true
	}
	block := r.cfg.Block
	if d > 0 && d <= block {
		// Too short for the runtime's timers, too.
		r.take(r.epollBlock(d))
	} else {
		if r.blocks {
			r.take(r.epollBlock(block))
			// Not after EINTR, but that is rare and a park no harm.
			r.blocks = r.filled > 0
			d -= block // still < 0 without limit, still > 0 otherwise
		}
		if !r.blocks && r.broken == nil {
			r.park(d)
		}
	}
	r.busy()
	return !r.waker.state.CompareAndSwap(asleep, awake)
}

// unparkAfter is how many answers with events, none of them to a parked worker, end the use of the parker.
//
// As long as the set is registered with the Go runtime's poller, each event also runs the kernel's wake-up chain there
// and wakes the thread that waits in it for nothing: measured on two CPUs as 10 µs of CPU for an event, about what
// making a parker costs. So it is kept only while it is used.
const unparkAfter = 4

func (r *Reactor) busy() {
	if r.parker == nil || r.filled == 0 {
		return
	}
	if r.unused++; r.unused >= unparkAfter {
		r.unpark()
	}
}

func (r *Reactor) unpark() {
	if r.parker != nil {
		r.parker.Close()
		r.parker = nil
	}
}

// park waits in the Go runtime's poller.
func (r *Reactor) park(d time.Duration) {
	if r.parker == nil {
		p, err := netpark.New(r.epfd, "epoll", r.look)
		if err != nil {
			// Out of descriptors, most likely. Waiting in the system call is no less correct.
			r.take(r.epollBlock(blockInstead(d)))
			return
		}
		r.parker = p
	}
	start := time.Now()
	if _, err := r.parker.Wait(d); err != nil {
		r.unpark()
	}
	r.blocks = time.Since(start) <= r.cfg.Block
	r.unused = -1 // the answer to this very wait is not one without a park
}

// blockInstead bounds a wait that could not be parked, so that the next round tries to park again.
func blockInstead(d time.Duration) time.Duration {
	const most = 100 * time.Millisecond
	if d < 0 {
		return most
	}
	return min(d, most)
}

// look is asked by the parker whether there is something to do.
func (r *Reactor) look() bool {
	r.take(r.epollNow())
	return r.filled > 0 || r.broken != nil
}
