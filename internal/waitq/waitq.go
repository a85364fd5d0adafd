// Package waitq has the queue that channels and locks keep their waiting parties in.
//
// It is for packages of this module only. Nothing in it locks: a List and its Nodes belong to whoever holds the mutex of
// the channel or lock that the List is part of. The exception is Node.Waiter, which the waiting party waits on after it
// has let go of the mutex.
package waitq

import (
	"context"
	"sync"

	"github.com/ouro-io/ouro/executor"
)

// Node is one waiting party: what it waits on, and what it wants.
//
// Life: taken from a List → queued → claimed, by PopFront or Remove under the owner's mutex (so that exactly one party
// claims it, and that one alone wakes it) → given back by the party that waited, which then knows that nobody else holds
// it.
type Node[V any] struct {
	Waiter     executor.Waiter
	Value      V
	next, prev *Node[V]
	queued     bool
}

// Queued reports whether nobody has claimed n.
func (n *Node[V]) Queued() bool { return n.queued }

// Next is the node behind n, nil for the last.
func (n *Node[V]) Next() *Node[V] { return n.next }

// List is a first-in, first-out queue of nodes, with some spare ones. The zero value is empty.
type List[V any] struct {
	head, tail *Node[V]
	spare      *Node[V]
	spares     int
}

// maxSpares bounds the nodes that a list keeps for later.
const maxSpares = 64

// Take returns a node that is in no queue.
func (l *List[V]) Take() *Node[V] {
	if n := l.spare; n != nil {
		l.spare, n.next = n.next, nil
		l.spares--
		return n
	}
	return new(Node[V])
}

// Give takes a node back that is in no queue and that nobody will wake.
func (l *List[V]) Give(n *Node[V]) {
	var zero V
	n.Value = zero
	if l.spares < maxSpares {
		n.next, l.spare = l.spare, n
		l.spares++
	}
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

// Chain is a list of claimed nodes that are still to be woken, so that waking needs no memory and no mutex.
type Chain[V any] struct{ first, last *Node[V] }

// Add puts a claimed node at the end.
func (c *Chain[V]) Add(n *Node[V]) {
	if c.last != nil {
		c.last.next = n
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
		next := n.next
		n.next = nil
		n.Waiter.Wake() // n is the other's from here on
		n = next
	}
	c.first, c.last = nil, nil
}
