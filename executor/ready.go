package executor

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

// readyQueue is a worker's ready tasks: a deque per priority. push and pick are for the owner.
type readyQueue struct {
	queues [priorities]deque
	picks  uint32
}

func (q *readyQueue) init() {
	for i := range q.queues {
		q.queues[i].init()
	}
}

func (q *readyQueue) push(t *Task) { q.queues[t.prio].push(t) }

func (q *readyQueue) pick() *Task {
	q.picks++
	if q.picks%normalEvery == 0 {
		if q.picks%lowEvery == 0 {
			if t := q.queues[Low].take(); t != nil {
				return t
			}
		}
		if t := q.queues[Normal].take(); t != nil {
			return t
		}
	}
	if t := q.queues[High].take(); t != nil {
		return t
	}
	if t := q.queues[Normal].take(); t != nil {
		return t
	}
	return q.queues[Low].take()
}

// steal takes for another worker: High first, without the starvation bound, which is the owner's matter.
func (q *readyQueue) steal() *Task {
	if t := q.queues[High].steal(); t != nil {
		return t
	}
	if t := q.queues[Normal].steal(); t != nil {
		return t
	}
	return q.queues[Low].steal()
}

func (q *readyQueue) empty() bool {
	return q.queues[Normal].empty() && q.queues[High].empty() && q.queues[Low].empty()
}

func (q *readyQueue) len() int {
	return q.queues[Normal].len() + q.queues[High].len() + q.queues[Low].len()
}
