//go:build linux

package reactorfallback

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
)

// A task is the reactor's side of an operation in flight. It is in exactly one queue: in its file's, waiting for
// readiness, or in Reactor.due with its result, waiting for the next Poll to deliver it. Cancel moves it from the
// first to the second.
type task struct {
	op    *op.Op
	file  *file // nil for what needs none
	next  *task
	done  int // bytes sent so far
	res   int32
	errno syscall.Errno
	due   bool
}

// taskQueue is a FIFO of tasks.
type taskQueue struct {
	head, tail *task
	n          int
}

func (q *taskQueue) push(t *task) {
	t.next = nil
	if q.tail == nil {
		q.head = t
	} else {
		q.tail.next = t
	}
	q.tail = t
	q.n++
}

func (q *taskQueue) pop() *task {
	t := q.head
	if q.head = t.next; q.head == nil {
		q.tail = nil
	}
	t.next = nil
	q.n--
	return t
}

// remove takes t out from anywhere. Queues hold more than one task only when somebody pipelines operations on one
// descriptor, so a search is cheap.
func (q *taskQueue) remove(t *task) {
	var prev *task
	for x := q.head; x != t; x = x.next {
		prev = x
	}
	if prev == nil {
		q.pop()
		return
	}
	if prev.next = t.next; prev.next == nil {
		q.tail = prev
	}
	t.next = nil
	q.n--
}

const taskBlock = 64

// begin accepts o.
func (r *Reactor) begin(o *op.Op) *task {
	slot := int(r.table.Put(o).Slot())
	for slot >= len(r.tasks)*taskBlock {
		r.tasks = append(r.tasks, new([taskBlock]task))
	}
	t := r.task(o)
	*t = task{op: o}
	r.inFlight.Store(int64(r.table.Len()))
	r.count.Submitted++
	return t
}

func (r *Reactor) task(o *op.Op) *task {
	slot := o.Ref().Slot()
	return &r.tasks[slot/taskBlock][slot%taskBlock]
}

// settle gives t, which waits nowhere, a result that the next Poll delivers.
func (r *Reactor) settle(t *task, res int32, errno syscall.Errno) {
	t.res, t.errno, t.due = res, errno, true
	r.due.push(t)
}

// end delivers the terminal completion of t, the head of q, at once. Only inside Poll.
func (r *Reactor) end(q *taskQueue, t *task, res int32, errno syscall.Errno) {
	q.pop()
	t.res, t.errno = res, errno
	r.finish(t)
}

// finish delivers the terminal completion of t, which waits nowhere. The descriptor is free before its owner hears of
// it, since he may close it and open another under the same number right then.
func (r *Reactor) finish(t *task) {
	o, c := t.op, op.Completion{Result: t.res, Errno: t.errno}
	r.table.Drop(o)
	if f := t.file; f != nil {
		if f.users--; f.users == 0 {
			f.watched = false
		}
	}
	*t = task{}
	r.inFlight.Store(int64(r.table.Len()))
	r.tell(o, c)
}

// tell delivers c. The completion lives in the Reactor because one on the stack would escape to the heap.
func (r *Reactor) tell(o *op.Op, c op.Completion) {
	if c.Errno == syscall.ENOBUFS && (o.Kind == op.Recv || o.Kind == op.RecvMsg) {
		r.count.NoBuffers++
	}
	r.count.Completed++
	r.delivered++
	r.comp = c
	o.Done.Complete(o, &r.comp)
}
