package csp

import (
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/waitq"
)

// A Chan in the eyes of a Select, which does not know its type. See channel.

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
	if !c.closed && c.waits(send) {
		c.vain.Store(c.vain.Load() | vainly(send))
	}
	if !done {
		c.mu.Unlock()
		return false, nil
	}
	c.leave(w)
	return true, err
}

// waits tells whether a send or a receive would have to wait. It may say no too often.
func (c *Chan[T]) waits(send bool) bool {
	if send {
		return c.count == len(c.buf) && c.receives.Empty()
	}
	return c.count == 0 && c.senders.Empty()
}

func (c *Chan[T]) side(send bool) *waitq.List[slot[T]] {
	if send {
		return &c.senders
	}
	return &c.receives
}

func (c *Chan[T]) enlist(send bool, v any, choice *executor.Choice, i int) (node any, found finding, err error) {
	c.mu.Lock()
	if c.closed || !c.waits(send) {
		found = c.look(send, choice)
	}
	switch {
	case found == foundSelect:
	case !choice.Open():
		found = foundLate
	case found == foundNothing:
		node = c.queue(send, v, choice, i)
	case !choice.Claim(i):
		found = foundLate
	default:
		// Nobody else can claim the choice any more, so this drops what the Select itself has queued here.
		done, w, err := c.try(send, v)
		c.mu.Unlock()
		if !done {
			panic("csp: a Select was given what is not there")
		}
		w.wake()
		return nil, foundIt, err
	}
	c.mu.Unlock()
	return node, found, nil
}

// look tells what a send or a receive of the Select with the choice own would find now. It passes over that Select's own
// nodes, and drops those of Selects that were taken by another case. The caller holds mu.
func (c *Chan[T]) look(send bool, own *executor.Choice) finding {
	if c.closed || !send && c.count > 0 {
		return foundIt
	}
	q := c.side(!send)
	for n := q.Front(); n != nil; {
		next := n.Next()
		switch other := n.Value.choice; {
		case other == nil:
			return foundIt
		case other == own:
		case other.Open():
			return foundSelect
		default:
			q.Remove(n)
		}
		n = next
	}
	if send && c.count < len(c.buf) {
		return foundIt
	}
	return foundNothing
}

func (c *Chan[T]) queue(send bool, v any, choice *executor.Choice, i int) any {
	q := c.side(send)
	n := q.Take()
	n.Value.choice, n.Value.index = choice, i
	if send {
		n.Value.v = *v.(*T)
		c.hope(vainRecv)
	} else {
		n.Value.into = v.(*T)
		c.hope(vainSend)
	}
	q.PushBack(n)
	return n
}

func (c *Chan[T]) unqueue(send bool, node any) {
	n, q := node.(*waitq.Node[slot[T]]), c.side(send)
	c.mu.Lock()
	q.Remove(n)
	q.Give(n)
	c.mu.Unlock()
}
