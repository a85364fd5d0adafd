package actor

import (
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/routine"
)

// mailbox is a bounded ring of messages with many senders and one receiver. The actor's mu guards all of it.
type mailbox[M any] struct {
	bound   int
	ring    []M // grows up to bound
	head, n int
	extra   []extra[M] // from timers, watches and pipes: in order, and not counted
	first   *sender    // those that wait for room
	last    *sender
	timers  map[*timer[M]]struct{}
}

// extra is a message that may be taken back until it is handled. skip is called with mu held, once, when it is its turn; nil:
// it may not be taken back, as one that a Pipe brings.
type extra[M any] struct {
	m    M
	skip func() bool
}

// sender is a Tell that waits.
type sender struct {
	next   *sender
	waiter executor.Waiter
}

func wakeAll(w *sender) {
	for w != nil {
		next := w.next
		w.waiter.Wake()
		w = next
	}
}

// push puts m behind the others. There is room.
func (b *mailbox[M]) push(m M) {
	if b.n == len(b.ring) {
		b.grow()
	}
	at := b.head + b.n
	if at >= len(b.ring) {
		at -= len(b.ring)
	}
	b.ring[at] = m
	b.n++
}

func (b *mailbox[M]) grow() {
	ring := make([]M, min(max(2*len(b.ring), batchSize), b.bound))
	n := copy(ring, b.ring[b.head:])
	copy(ring[n:], b.ring[:b.head])
	b.ring, b.head = ring, 0
}

// take moves messages into batch and returns how many: ne that are not counted first, with what they have for skip, but no more
// than a half of batch while others wait.
func (b *mailbox[M]) take(batch []M, skips []func() bool) (n, ne int) {
	most := len(batch)
	if b.n > 0 {
		most = (most + 1) / 2
	}
	for n < most && len(b.extra) > 0 {
		batch[n], skips[n] = b.extra[0].m, b.extra[0].skip
		n++
		b.extra[0] = extra[M]{}
		if b.extra = b.extra[1:]; len(b.extra) == 0 {
			b.extra = nil
		}
	}
	ne = n
	var none M
	for n < len(batch) && b.n > 0 {
		batch[n], b.ring[b.head] = b.ring[b.head], none
		n++
		if b.head++; b.head == len(b.ring) {
			b.head = 0
		}
		b.n--
	}
	return n, ne
}

// refill takes out the next messages, and returns how many. mu is held.
func (a *actor[M]) refill() int {
	a.next = 0
	a.nb, a.ne = a.take(a.batch[:], a.skips[:])
	return a.nb
}

// takenBack reports whether message i of the batch, an extra, is not to be handled.
func (a *actor[M]) takenBack(i int) bool {
	skip := a.skips[i]
	a.skips[i] = nil
	if skip == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return skip()
}

// freed returns the senders that may try again: all, since a batch makes room for as many as wait in most cases.
func (b *mailbox[M]) freed() *sender {
	w := b.first
	b.first, b.last = nil, nil
	return w
}

// Tell implements Target.
func (a *actor[M]) Tell(m M) error {
	err := a.deliver(m)
	if err == ErrMailboxFull && a.props.Overflow == DropNewest {
		return nil
	}
	return err
}

// deliver is Tell that reports what DropNewest drops.
func (a *actor[M]) deliver(m M) error {
	a.mu.Lock()
	for {
		if a.closed {
			a.mu.Unlock()
			err := a.stoppedError()
			a.system.deadLetter(a.path, m, err)
			return err
		}
		if a.n < a.bound {
			a.push(m)
			a.rouse()
			return nil
		}
		if a.props.Overflow != Wait || a.restarting {
			return a.overflow(m)
		}
		a.waitForRoom()
	}
}

// tellWaiting is Tell that waits for room, whatever Overflow says.
func (a *actor[M]) tellWaiting(m M) error {
	a.mu.Lock()
	for a.n == a.bound && !a.closed {
		a.waitForRoom()
	}
	if a.closed {
		a.mu.Unlock()
		return a.stoppedError()
	}
	a.push(m)
	a.rouse()
	return nil
}

// overflow deals with a message that finds the mailbox full. mu is held, and given back.
func (a *actor[M]) overflow(m M) error {
	var err error
	if a.props.Overflow == DropOldest {
		old := a.ring[a.head]
		if a.head++; a.head == len(a.ring) {
			a.head = 0
		}
		a.n--
		a.push(m)
		m = old
	} else {
		err = ErrMailboxFull
	}
	a.mu.Unlock()
	a.system.deadLetter(a.path, m, ErrMailboxFull)
	return err
}

// waitForRoom suspends the sender. mu is held before and after.
func (a *actor[M]) waitForRoom() {
	w := new(sender)
	w.waiter.Prepare()
	if a.last == nil {
		a.first = w
	} else {
		a.last.next = w
	}
	a.last = w
	a.mu.Unlock()
	w.waiter.Wait()
	a.mu.Lock()
}

// idle reports whether no message waits.
func (a *actor[M]) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.next == a.nb && a.n == 0 && len(a.extra) == 0
}

// pipe leaves the message of a Pipe. Any goroutine, also in loop state.
func (a *actor[M]) pipe(m M) {
	if !a.pushExtra(extra[M]{m, nil}) {
		a.system.deadLetter(a.path, m, a.stoppedError())
	}
}

// pushExtra leaves a message that does not count. It reports false when the actor has stopped. Any goroutine, also in loop
// state.
func (a *actor[M]) pushExtra(x extra[M]) bool {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return false
	}
	a.extra = append(a.extra, x)
	a.rouse()
	return true
}

// timer tells its actor a message. At most one message of it waits.
type timer[M any] struct {
	executor.Timer
	a       *actor[M]
	m       M
	every   time.Duration
	stopped bool // under a.mu, as is queued
	queued  bool
}

func (a *actor[M]) timer(after, every time.Duration, m M) (stop func()) {
	t := &timer[M]{a: a, m: m, every: every}
	t.Init(a.home, t)
	a.mu.Lock()
	if a.timers == nil {
		a.timers = map[*timer[M]]struct{}{}
	}
	a.timers[t] = struct{}{}
	a.mu.Unlock()
	t.Set(routine.Later(a.home.Executor().Clock().Now(), after)) // not Worker.Now, which is as old as the turn
	return func() {
		a.mu.Lock()
		t.stopped = true
		delete(a.timers, t)
		a.mu.Unlock()
		t.Stop()
	}
}

// OnTimer is called by the worker.
func (t *timer[M]) OnTimer(w *executor.Worker, _ *executor.Timer) {
	a := t.a
	a.mu.Lock()
	if t.stopped {
		a.mu.Unlock()
		return
	}
	if t.every > 0 {
		t.Set(routine.Later(w.Now(), t.every))
	}
	if t.queued || a.closed {
		a.mu.Unlock()
		return
	}
	t.queued = true
	a.extra = append(a.extra, extra[M]{t.m, t.taken})
	a.rouse()
}

// taken is called when it is the message's turn, with mu held. Until then the timer is listed, so that a restart finds it.
func (t *timer[M]) taken() (skip bool) {
	t.queued = false
	if t.every == 0 {
		delete(t.a.timers, t)
	}
	return t.stopped
}

// dropTimers ends all timers.
func (a *actor[M]) dropTimers() {
	a.mu.Lock()
	timers := a.timers
	a.timers = nil
	for t := range timers {
		t.stopped = true
	}
	a.mu.Unlock()
	for t := range timers {
		t.Stop()
	}
}
