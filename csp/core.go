package csp

import (
	"sync"
	"sync/atomic"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/waitq"
)

// core is what a Chan is apart from its values, so that a Select, which does not know their type, works on it without a
// detour by way of an interface.
//
// States and owners. Everything is under mu. At most one of these holds: the buffer has room and nobody waits to send;
// the buffer is full, or of capacity 0, and senders wait; the buffer is empty and receivers wait. Who finds a waiting
// party claims its node under mu, takes the value from, or leaves it at, the place that the node says, and wakes the party after
// mu is released. A node that belongs to a Select is claimed only if the Select's Choice is claimed too; when it was taken by
// another case the node is dropped, which changes nothing for anybody. The node of any other party belongs to its queue, and who
// claims it also retires it, so that the party that it wakes needs mu no more.
type core struct {
	mu       sync.Mutex
	size     int // the capacity
	count    int // of values in the buffer
	closed   bool
	ended    bool   // by Close; closed alone also by ToConn
	ops      uint32 // that did not wait
	senders  queue
	receives queue
	id       atomic.Uint64 // the order in which selects lock; 0 until asked for
	vain     atomic.Uint32 // written under mu only
}

// vain spares a Select that looks at many channels the mutexes of those that have nothing for it: an operation that would have
// to wait is in vain. A bit is set by a Select's attempt that found it so, and cleared by whatever changes that, before mu is
// released; a cleared one says nothing. So who finds it set, without mu, has seen a moment in which the operation would have had
// to wait. It costs those that use no Select a load.
const (
	vainRecv uint32 = 1 << iota
	vainSend
)

type (
	queue = waitq.List[slot]
	node  = waitq.Node[slot]
)

// slot is what a waiting party gives or gets.
type slot struct {
	at     any              // *T: where the value is, or goes to; what the user gave of a Select, else the node's own box
	choice *executor.Choice // of a Select; nil when the party waits for this channel only
	index  int              // of the Select's case
	ok     bool             // the value was handed over; false when the channel was closed instead
}

// boxOf is the place for a value that comes with a node of a queue.
func boxOf[T any](n *node) *T {
	if n.Value.at == nil {
		n.Value.at = new(T)
	}
	return n.Value.at.(*T)
}

// checkpointEvery is how many operations that did not wait are told to executor.Checkpoint at once, which costs about
// as much as one of them.
const checkpointEvery = 32

// leave releases mu, wakes w, and lets others run now and then.
func (c *core) leave(w waker) {
	c.ops++
	spent := c.ops%checkpointEvery == 0
	c.mu.Unlock()
	if w != (waker{}) {
		w.wake()
	}
	if spent {
		executor.Checkpoint(checkpointEvery)
	}
}

// hope clears a bit of vain. The caller holds mu.
func (c *core) hope(bit uint32) {
	if s := c.vain.Load(); s&bit != 0 {
		c.vain.Store(s &^ bit)
	}
}

// waits tells whether a send or a receive would have to wait, if c is open. It may say no too often. The caller holds mu.
func (c *core) waits(send bool) bool {
	if send {
		return c.count == c.size && c.receives.Empty()
	}
	return c.count == 0 && c.senders.Empty()
}

func (c *core) side(send bool) *queue {
	if send {
		return &c.senders
	}
	return &c.receives
}

// pop claims the party that has waited longest; a Select, for its case with how set in the index. It drops the nodes of
// Selects that were taken by another case. The caller holds mu.
func pop(q *queue, how int) *node {
	for {
		n := q.PopFront()
		if n == nil || n.Value.choice == nil || n.Value.choice.Claim(n.Value.index|how) {
			return n
		}
	}
}

// settled is for a party that was claimed and has got what it waits for. It tells how to wake it. ok is as in slot; a Select
// reads it from the index that it was claimed for. The caller holds mu.
func settled(q *queue, n *node, ok bool) waker {
	if c := n.Value.choice; c != nil {
		return waker{choice: c}
	}
	n.Value.ok = ok
	q.Retire(n)
	return waker{waiter: &n.Waiter}
}

// waker is a claimed party that is still to be woken, or nobody.
type waker struct {
	waiter *executor.Waiter
	choice *executor.Choice
}

func (w waker) wake() {
	if w.waiter != nil {
		w.waiter.Wake()
	} else if w.choice != nil {
		w.choice.Wake()
	}
}
