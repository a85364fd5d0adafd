//go:build linux

package proactor

import "github.com/ouro-io/ouro/buffers"

// leaseQueue is a first-in first-out queue. A nil one is empty. It keeps its memory when it runs empty, so that a steady flow does
// not allocate.
type leaseQueue struct {
	items []buffers.Lease
	head  int
}

func (q *leaseQueue) len() int {
	if q == nil {
		return 0
	}
	return len(q.items) - q.head
}

func (q *leaseQueue) push(l buffers.Lease) {
	if q.head > 0 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, l)
}

// front is the oldest; the queue must not be empty.
func (q *leaseQueue) front() *buffers.Lease { return &q.items[q.head] }

func (q *leaseQueue) pop() buffers.Lease {
	l := q.items[q.head]
	q.items[q.head] = buffers.Lease{}
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return l
}

// drop releases all.
func (q *leaseQueue) drop() {
	for q.len() > 0 {
		q.pop().Release()
	}
	if q != nil {
		q.items = nil
	}
}
