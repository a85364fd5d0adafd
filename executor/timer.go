package executor

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// never is later than every timer.
const never int64 = math.MaxInt64

// TimerHandler is told that a timer is due.
type TimerHandler interface {
	// OnTimer is called in loop state on the worker of t, at t's time or later. It must not block; it may set t again.
	OnTimer(w *Worker, t *Timer)
}

// Timer calls its handler at a time of the executor's clock. Its owner embeds it. Init comes first.
//
// The timers of a worker are a heap under a mutex. The place of a timer in the heap follows key; at is when it is to
// fire. Setting a timer to a later time only writes at (a deadline that is moved on with each request costs no heap
// operation); when its key comes up, the timer goes back to where at says.
type Timer struct {
	h   TimerHandler
	w   *Worker
	at  int64
	pos int // in the heap, from 1; 0 when not set
}

type timerEntry struct {
	key int64
	t   *Timer
}

type timers struct {
	mu   sync.Mutex
	heap []timerEntry
	next atomic.Int64 // the smallest key, or never
}

// Init binds t, which must not be set, to the worker that calls h.
func (t *Timer) Init(w *Worker, h TimerHandler) {
	if w == nil || h == nil {
		panic("executor: Timer.Init needs a worker and a handler")
	}
	t.w, t.h = w, h
}

// Set makes t fire once, at the time at (nanoseconds of Worker.Now), instead of when it was set to fire before. A time
// that has passed means the worker's next turn. Any goroutine.
func (t *Timer) Set(at int64) {
	w := t.w
	if w == nil {
		panic("executor: Timer.Set without Init")
	}
	at = min(at, never-1)
	q := &w.timers
	q.mu.Lock()
	t.at = at
	earliest := false
	if t.pos == 0 {
		q.heap = append(q.heap, timerEntry{at, t})
		q.up(len(q.heap) - 1)
		earliest = t.pos == 1
	} else if i := t.pos - 1; at < q.heap[i].key {
		q.heap[i].key = at
		q.up(i)
		earliest = t.pos == 1
	}
	if earliest {
		q.next.Store(at)
	}
	q.mu.Unlock()
	if earliest {
		w.rouse()
	}
}

// Stop prevents t from firing. It reports false when t was not set or has fired; its handler may be running then. Any
// goroutine.
func (t *Timer) Stop() bool {
	if t.w == nil {
		return false
	}
	q := &t.w.timers
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.pos == 0 {
		return false
	}
	q.remove(t.pos - 1)
	q.publish()
	return true
}

// fireTimers calls the handlers of those that are due.
func (w *Worker) fireTimers() {
	q := &w.timers
	if q.next.Load() == never {
		return
	}
	now := w.Now()
	// Not more than there are now: a handler that sets its timer to a time that has passed waits for the next turn.
	for n := q.len(); n > 0; n-- {
		t := q.due(now)
		if t == nil {
			return
		}
		t.h.OnTimer(w, t)
	}
}

// due removes a timer that is due at now and returns it.
func (q *timers) due(now int64) *Timer {
	if q.next.Load() > now {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.publish()
	for len(q.heap) > 0 && q.heap[0].key <= now {
		e := &q.heap[0]
		if e.t.at > e.key { // was set to a later time
			e.key = e.t.at
			q.down(0)
			continue
		}
		t := e.t
		q.remove(0)
		return t
	}
	return nil
}

func (q *timers) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.heap)
}

func (q *timers) publish() {
	if len(q.heap) == 0 {
		q.next.Store(never)
		return
	}
	q.next.Store(q.heap[0].key)
}

func (q *timers) remove(i int) {
	q.heap[i].t.pos = 0
	last := len(q.heap) - 1
	moved := q.heap[last]
	q.heap[last] = timerEntry{}
	q.heap = q.heap[:last]
	if i < last {
		q.heap[i] = moved
		moved.t.pos = i + 1
		q.up(i)
		q.down(moved.t.pos - 1)
	}
}

func (q *timers) up(i int) {
	e := q.heap[i]
	for i > 0 {
		parent := (i - 1) / 2
		if q.heap[parent].key <= e.key {
			break
		}
		q.put(i, q.heap[parent])
		i = parent
	}
	q.put(i, e)
}

func (q *timers) down(i int) {
	e := q.heap[i]
	for {
		child := 2*i + 1
		if child >= len(q.heap) {
			break
		}
		if child+1 < len(q.heap) && q.heap[child+1].key < q.heap[child].key {
			child++
		}
		if e.key <= q.heap[child].key {
			break
		}
		q.put(i, q.heap[child])
		i = child
	}
	q.put(i, e)
}

func (q *timers) put(i int, e timerEntry) {
	q.heap[i] = e
	e.t.pos = i + 1
}

// sleeper is what Worker.Sleep waits with.
type sleeper struct {
	timer  Timer
	waiter Waiter
}

func (s *sleeper) OnTimer(*Worker, *Timer) { s.waiter.Wake() }

var sleepers = sync.Pool{New: func() any { return new(sleeper) }}

// Sleep suspends the calling coroutine, or parks the calling goroutine, for at least d of the executor's clock. It must
// not be called in loop state.
func (w *Worker) Sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	s := sleepers.Get().(*sleeper)
	s.timer.Init(w, s)
	s.waiter.PrepareNear(w)
	s.timer.Set(later(w.e.clock.Now(), d))
	s.waiter.Wait()
	// The handler did nothing after its Wake, which was the only one.
	sleepers.Put(s)
}

// later is d after now, at most as late as a timer can be: a time that wrapped around would have passed.
func later(now int64, d time.Duration) int64 {
	return now + min(int64(d), never-1-now)
}

// Sleep is Worker.Sleep on the coroutine's home worker, and time.Sleep outside coroutines.
func Sleep(d time.Duration) {
	if co := Current(); co != nil {
		co.home.Sleep(d)
		return
	}
	time.Sleep(d)
}
