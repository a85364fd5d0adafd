//go:build linux

package proactor

import "github.com/ouro-io/ouro/buffers"

// leaseQueue is a first-in first-out queue. A nil one is empty. The oldest lease lies in the queue itself: an idle
// connection, which has never had more than one at a time, holds no memory besides. What came behind it keeps its memory
// when the queue runs empty, so that a steady flow does not allocate.
type leaseQueue struct {
	first buffers.Lease
	rest  *leaseList // behind first; empty when first is not valid
}

type leaseList struct {
	items []buffers.Lease
	head  int
}

func (q *leaseQueue) len() int {
	if q == nil || !q.first.Valid() {
		return 0
	}
	return 1 + q.rest.len()
}

// push takes a valid lease in.
func (q *leaseQueue) push(l buffers.Lease) {
	if !q.first.Valid() {
		q.first = l
		return
	}
	if q.rest == nil {
		q.rest = new(leaseList)
	}
	q.rest.push(l)
}

// front is the oldest; the queue must not be empty.
func (q *leaseQueue) front() *buffers.Lease { return &q.first }

func (q *leaseQueue) pop() buffers.Lease {
	l := q.first
	if q.rest.len() > 0 {
		q.first = q.rest.pop()
	} else {
		q.first = buffers.Lease{}
	}
	return l
}

// drop releases all.
func (q *leaseQueue) drop() {
	for q.len() > 0 {
		q.pop().Release()
	}
	if q != nil {
		q.rest = nil
	}
}

func (q *leaseList) len() int {
	if q == nil {
		return 0
	}
	return len(q.items) - q.head
}

func (q *leaseList) push(l buffers.Lease) {
	if q.head > 0 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, l)
}

func (q *leaseList) pop() buffers.Lease {
	l := q.items[q.head]
	q.items[q.head] = buffers.Lease{}
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return l
}
