package csp

import "github.com/ouro-io/ouro/executor"

// A channel in the eyes of a Select.

func (c *core) order() uint64 {
	if n := c.id.Load(); n != 0 {
		return n
	}
	c.id.CompareAndSwap(0, orders.Add(1))
	return c.id.Load()
}

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

// enlist queues n for case i of the Select with the choice own, or has the case happen if it can and takes own for it.
func (c *core) enlist(k *Case, n *node, own *executor.Choice, i int) (found finding, err error) {
	c.mu.Lock()
	if c.closed || !c.waits(k.send) {
		found = c.look(k.send, own)
	}
	switch {
	case found == foundSelect:
	case !own.Open():
		found = foundLate
	case found == foundNothing:
		c.queue(k, n, own, i)
	case !own.Claim(i):
		found = foundLate
	default:
		// Nobody else can claim the choice any more, so this drops what the Select itself has queued here.
		done, w, err := k.ch.try(k.send, k.v)
		c.mu.Unlock()
		if !done {
			panic("csp: a Select was given what is not there")
		}
		w.wake()
		return foundIt, err
	}
	c.mu.Unlock()
	return found, nil
}

// look tells what a send or a receive of the Select with the choice own would find now. It passes over that Select's own
// nodes, and drops those of Selects that were taken by another case. The caller holds mu.
func (c *core) look(send bool, own *executor.Choice) finding {
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
	if send && c.count < c.size {
		return foundIt
	}
	return foundNothing
}

// queue queues n for case i. The caller holds mu.
func (c *core) queue(k *Case, n *node, own *executor.Choice, i int) {
	n.Value = slot{at: k.v, choice: own, index: i}
	if k.send {
		c.senders.PushBack(n)
		c.hope(vainRecv)
	} else {
		c.receives.PushBack(n)
		c.hope(vainSend)
	}
}

// unqueue takes a node back.
func (c *core) unqueue(send bool, n *node) {
	c.mu.Lock()
	c.side(send).Remove(n)
	c.mu.Unlock()
}
