package csp

import (
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/waitq"
)

func (c *Chan[T]) order() uint64 {
	if n := c.id.Load(); n != 0 {
		return n
	}
	c.id.CompareAndSwap(0, orders.Add(1))
	return c.id.Load()
}

func (c *Chan[T]) lock()   { c.mu.Lock() }
func (c *Chan[T]) unlock() { c.mu.Unlock() }

func (c *Chan[T]) try(send bool, v any) (done bool, w waker, err error) {
	if send {
		return c.trySend(v.(*T))
	}
	return c.tryRecv(v.(*T))
}

func (c *Chan[T]) attempt(send bool, v any) (bool, error) {
	c.mu.Lock()
	done, w, err := c.try(send, v)
	if !done {
		c.mu.Unlock()
		return false, nil
	}
	c.leave(w)
	return true, err
}

func (c *Chan[T]) side(send bool) *waitq.List[slot[T]] {
	if send {
		return &c.senders
	}
	return &c.receives
}

func (c *Chan[T]) queue(send bool, v any, choice *executor.Choice, i int) any {
	q := c.side(send)
	n := q.Take()
	n.Value.choice, n.Value.index = choice, i
	if send {
		n.Value.v = *v.(*T)
	}
	q.PushBack(n)
	return n
}

func (c *Chan[T]) unqueue(send bool, node any, won bool, v any) error {
	n, q := node.(*waitq.Node[slot[T]]), c.side(send)
	c.mu.Lock()
	q.Remove(n)
	got, ok := n.Value.v, n.Value.ok
	q.Give(n)
	c.mu.Unlock()
	switch {
	case !won:
		return nil
	case !ok:
		return ErrClosed
	case !send:
		*v.(*T) = got
	}
	return nil
}
