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
// It first waits inside the system call. That is about a quarter cheaper than a park on a busy server, but it may hold
// a P, so after Config.Block it parks the goroutine until the set becomes readable.
func (r *Reactor) wait(d time.Duration) (woken bool) {
	if !r.waker.state.CompareAndSwap(awake, asleep) {
		r.take(r.epollNow())
		return true
	}
	block := r.cfg.Block
	if d > 0 {
		block = min(d, block)
	}
	r.take(r.epollBlock(block))
	if r.filled == 0 && r.broken == nil && d != block {
		if d > 0 {
			d -= block
		}
		r.park(d)
	} else {
		r.busy()
	}
	return !r.waker.state.CompareAndSwap(asleep, awake)
}

// unparkAfter is how many waits that needed no park end the use of the parker.
const unparkAfter = 64

// busy notes that a wait ended without a park. As long as the set is registered with the Go runtime's poller, each
// event also runs the kernel's wake-up chain there, so a parker that is not in use is dropped.
func (r *Reactor) busy() {
	if r.parker == nil {
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
	r.unused = 0
	if r.parker == nil {
		p, err := netpark.New(r.epfd, "epoll", r.look)
		if err != nil {
			// Out of descriptors, most likely. Waiting in the system call is no less correct.
			r.take(r.epollBlock(blockInstead(d)))
			return
		}
		r.parker = p
	}
	if _, err := r.parker.Wait(d); err != nil {
		r.unpark()
	}
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
