// Package waitq has the queue that channels and locks keep their waiting parties in.
//
// It is for packages of this module only. Nothing in it locks: a List and its Nodes belong to whoever holds the mutex of
// the channel or lock that the List is part of. The exception is Node.Waiter, which the waiting party waits on after it
// has let go of the mutex.
package waitq

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ouro-io/ouro/executor"
)

// Node is one waiting party: what it waits on, and what it wants. A party may also bring a node of its own, which is never
// taken, given or retired.
//
// Life: taken from a List → queued → claimed, by PopFront or Remove under the owner's mutex (so that exactly one party
// claims it, and that one alone wakes it) → back among the List's spare ones, in one of two ways:
//
//   - Give, under the mutex, by the party that waited, which then knows that nobody else holds it
//   - Retire, by the party that claims it, while it has the mutex anyway; the party that waited then says Done when it has
//     read what it was given, and needs no mutex for that. Until then the node is among the spare ones but not free.
//
// turns and done tell the two apart. turns counts how often the node was taken, and belongs to the mutex; done is turns as of
// the last Done, and only the party that has the node writes it. The node is free when they are equal.
type Node[V any] struct {
	Waiter     executor.Waiter
	Value      V
	next, prev *Node[V]
	link       *Node[V] // of a Chain
	queued     bool
	turns      uint32
	done       atomic.Uint32
}

// Queued reports whether nobody has claimed n.
func (n *Node[V]) Queued() bool { return n.queued }

// Done ends the use of n by the party that has waited for its claim, if that was followed by a Retire. The mutex need not be
// held.
func (n *Node[V]) Done() { n.done.Store(n.turns) }

// Next is the node behind n, nil for the last.
func (n *Node[V]) Next() *Node[V] { return n.next }

// List is a first-in, first-out queue of nodes, with some spare ones, which are used again in the order in which they came
// back: the first is the most likely to be free. The zero value is empty.
type List[V any] struct {
	head, tail  *Node[V]
	spare, last *Node[V]
	spares      int
}

// maxSpares bounds the nodes that a list keeps for later.
const maxSpares = 64

// Take returns a node that is in no queue. Its Value is what who used it last has left in it.
func (l *List[V]) Take() *Node[V] {
	n := l.spare
	if n == nil || n.done.Load() != n.turns {
		n = new(Node[V])
	} else {
		l.spare, n.next = n.next, nil
		l.spares--
	}
	n.turns++
	return n
}

// Give takes a node back that is in no queue and that nobody will wake.
func (l *List[V]) Give(n *Node[V]) {
	n.turns--
	l.keep(n)
}

// Retire takes a node back that the caller has just claimed and will wake: who waits for that must call Done.
func (l *List[V]) Retire(n *Node[V]) { l.keep(n) }

func (l *List[V]) keep(n *Node[V]) {
	if l.spares == maxSpares {
		return
	}
	if l.spare == nil {
		l.spare = n
	} else {
		l.last.next = n
	}
	l.last = n
	l.spares++
}

// Empty reports whether nobody waits.
func (l *List[V]) Empty() bool { return l.head == nil }

// Front is the node that has waited longest, nil when nobody waits.
func (l *List[V]) Front() *Node[V] { return l.head }

// PushBack queues n as the last.
func (l *List[V]) PushBack(n *Node[V]) {
	n.queued = true
	n.next, n.prev = nil, l.tail
	if l.tail != nil {
		l.tail.next = n
	} else {
		l.head = n
	}
	l.tail = n
}

// PushFront queues n as the first.
func (l *List[V]) PushFront(n *Node[V]) {
	n.queued = true
	n.next, n.prev = l.head, nil
	if l.head != nil {
		l.head.prev = n
	} else {
		l.tail = n
	}
	l.head = n
}

// PopFront claims the node that has waited longest, nil when nobody waits.
func (l *List[V]) PopFront() *Node[V] {
	n := l.head
	if n != nil {
		l.Remove(n)
	}
	return n
}

// Remove claims n. It reports false when n was claimed before.
func (l *List[V]) Remove(n *Node[V]) bool {
	if !n.queued {
		return false
	}
	n.queued = false
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		l.head = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		l.tail = n.prev
	}
	n.next, n.prev = nil, nil
	return true
}

// Await waits for the Wake of n, which is queued in l, or gives up when ctx ends: it returns context.Cause(ctx) then, and
// n is in no queue. mu is the owner's mutex, which the caller does not hold.
func (l *List[V]) Await(ctx context.Context, mu sync.Locker, n *Node[V]) error {
	if ctx.Done() == nil {
		n.Waiter.Wait()
		return nil
	}
	return n.Waiter.WaitContext(ctx, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return l.Remove(n)
	})
}

// End gives n back after Await, or the like, has returned err, if who claims nodes of l retires them. mu is the owner's mutex,
// which the caller does not hold.
func (l *List[V]) End(mu sync.Locker, n *Node[V], err error) {
	if err == nil {
		n.Done()
		return
	}
	mu.Lock()
	l.Give(n)
	mu.Unlock()
}

// Chain is a list of claimed nodes that are still to be woken, so that waking needs no memory and no mutex.
type Chain[V any] struct{ first, last *Node[V] }

// Add puts a claimed node at the end.
func (c *Chain[V]) Add(n *Node[V]) {
	if c.last != nil {
		c.last.link = n
	} else {
		c.first = n
	}
	c.last = n
}

// Empty reports whether there is nobody to wake.
func (c *Chain[V]) Empty() bool { return c.first == nil }

// Wake wakes all. The owner's mutex need not be held.
func (c *Chain[V]) Wake() {
	for n := c.first; n != nil; {
		next := n.link
		n.link = nil
		n.Waiter.Wake() // n is the other's from here on
		n = next
	}
	c.first, c.last = nil, nil
}
