package executor

import "sync/atomic"

// Priority orders ready tasks. The zero value is Normal.
type Priority uint8

const (
	// Normal is for nearly everything.
	Normal Priority = iota
	// High is picked first, but of any normalEvery picks one tries Normal first.
	High
	// Low is picked when nothing else is ready, and first in one of any lowEvery picks.
	Low

	priorities = 3
)

const (
	normalEvery = 8
	lowEvery    = 32
)

func (p Priority) String() string {
	switch p {
	case Normal:
		return "normal"
	case High:
		return "high"
	case Low:
		return "low"
	}
	return "unknown"
}

// readyQueue is a worker's ready tasks: a deque per priority, and in front of Normal's one place more. push and pick are
// for the owner.
//
// The place (first) is the head of Normal's queue: it is filled only while that is empty, so the order stays first in,
// first out. A deque has one writer; the place is taken and filled by compare-and-swap, so that whoever acts for the
// worker's runner fills it without a section, though he may be deposed at that moment. Two coroutines that wake each other
// in turns, and a connection whose completion is delivered alone, never touch the deque: two atomic operations per task
// instead of six.
type readyQueue struct {
	first  atomic.Pointer[Task]
	queues [priorities]deque
	picks  uint32
}

func (q *readyQueue) init() {
	for i := range q.queues {
		q.queues[i].init()
	}
}

func (q *readyQueue) push(t *Task) {
	if !q.offer(t) {
		q.queues[t.prio].push(t)
	}
}

// offer puts t into the first place if t comes next. Anybody, though the order is exact only for who acts for the worker.
func (q *readyQueue) offer(t *Task) bool {
	return t.prio == Normal && q.first.Load() == nil && q.queues[Normal].empty() && q.first.CompareAndSwap(nil, t)
}

func (q *readyQueue) offered() bool { return q.first.Load() != nil }

// takeFirst empties the first place. Anybody.
func (q *readyQueue) takeFirst() *Task {
	if t := q.first.Load(); t != nil && q.first.CompareAndSwap(t, nil) {
		return t
	}
	return nil
}

func (q *readyQueue) takeNormal() *Task {
	if t := q.takeFirst(); t != nil {
		return t
	}
	return q.queues[Normal].take()
}

func (q *readyQueue) pick() *Task {
	q.picks++
	if q.picks%normalEvery == 0 {
		if q.picks%lowEvery == 0 {
			if t := q.queues[Low].take(); t != nil {
				return t
			}
		}
		if t := q.takeNormal(); t != nil {
			return t
		}
	}
	if !q.queues[High].empty() {
		if t := q.queues[High].take(); t != nil {
			return t
		}
	}
	if t := q.takeNormal(); t != nil {
		return t
	}
	return q.queues[Low].take()
}

// steal takes for another worker: High first, without the starvation bound, which is the owner's matter.
func (q *readyQueue) steal() *Task {
	if t := q.queues[High].steal(); t != nil {
		return t
	}
	if t := q.takeFirst(); t != nil {
		return t
	}
	if t := q.queues[Normal].steal(); t != nil {
		return t
	}
	return q.queues[Low].steal()
}

func (q *readyQueue) empty() bool {
	return !q.offered() && q.queues[Normal].empty() && q.queues[High].empty() && q.queues[Low].empty()
}

func (q *readyQueue) len() int {
	n := q.queues[Normal].len() + q.queues[High].len() + q.queues[Low].len()
	if q.offered() {
		n++
	}
	return n
}
