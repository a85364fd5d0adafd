//go:build linux

package reactorfallback

import (
	"runtime"
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

	// ownGen is the generation under which the reactor's own descriptors are registered. Files never have it.
	ownGen = 0
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

// wait asks the kernel and waits up to d, without limit when d < 0. It reports whether a Wake ended it. How it waits is
// netpark.Pace's decision; the tick that this needs is a timerfd.
func (r *Reactor) wait(d time.Duration) (woken bool) {
	if !r.waker.state.CompareAndSwap(awake, asleep) {
		r.take(r.epollNow())
		return true
	}
	switch {
	case !r.pace.Hold():
		r.park(d)
	case d > 0 && d < r.cfg.IdleAfter || !r.startTicking():
		r.take(r.epollHold(d))
	default:
		r.take(r.epollHold(-1)) // the tick comes first
	}
	r.busy()
	return !r.waker.state.CompareAndSwap(asleep, awake)
}

// startTicking reports whether the tick is running, or else why not: then a wait needs a limit of its own.
//
// It is set anew for each tick: a periodic one would have to be read to go on.
func (r *Reactor) startTicking() bool {
	if !r.ticking {
		r.count.Syscalls++
		r.ticking = r.setTick() == 0
	}
	return r.ticking
}

func (r *Reactor) ticked() {
	r.ticking = false
	if r.pace.Tick() {
		runtime.Gosched()
	}
}

// busy drops the parker once it is of no use.
func (r *Reactor) busy() {
	if r.parker == nil || r.filled == 0 {
		return
	}
	if r.unused++; r.pace.DropParker(r.unused) {
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
			r.take(r.epollHold(d))
			return
		}
		r.parker = p
	}
	if _, err := r.parker.Wait(d); err != nil {
		r.unpark()
	}
	r.unused = -1 // the answer to this very wait is not one without a park
}

// look is asked by the parker whether there is something to do.
func (r *Reactor) look() bool {
	r.take(r.epollNow())
	return r.filled > 0 || r.broken != nil
}
