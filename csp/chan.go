package csp

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

var (
	// ErrClosed means that the channel is closed and, for a receive, that everything that was sent before has been
	// received.
	ErrClosed = errors.New("csp: the channel is closed")
	// ErrWouldBlock is what a Try… returns instead of waiting.
	ErrWouldBlock = errors.New("csp: the operation would have to wait")
)

// MaxCapacity is the most values that a Chan or a Broadcast may hold.
const MaxCapacity = 1 << 30

// Chan is a channel between coroutines, goroutines or both, with any number of senders and receivers. The zero value is
// a rendezvous: a Send returns when its value was received. All methods are safe from any goroutine or coroutine.
//
// First in, first out: values in the order in which they were sent, waiting parties in the order in which they came,
// and nobody overtakes those that wait.
type Chan[T any] struct {
	core
	buf  []T // a ring of the capacity's length
	head int // of the oldest value
}

// New makes a channel that holds up to capacity values; 0 means a rendezvous. It panics when capacity is negative or
// above MaxCapacity.
func New[T any](capacity int) *Chan[T] {
	if capacity < 0 || capacity > MaxCapacity {
		panic(fmt.Sprintf("csp: New with capacity %d: use 0 to %d", capacity, MaxCapacity))
	}
	return &Chan[T]{core: core{size: capacity}, buf: make([]T, capacity)}
}

// Cap is the number of values that the channel can hold.
func (c *Chan[T]) Cap() int { return c.size }

// Len is the number of values that it holds.
func (c *Chan[T]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// Send sends v, and waits while the channel is full. As with Go's channels it panics when the channel is closed, also
// if that happens while it waits.
func (c *Chan[T]) Send(v T) {
	c.mu.Lock()
	if c.count < c.size && !c.closed && c.receives.Empty() { // mostly
		c.put(v)
		c.leave(waker{})
		return
	}
	if c.send(context.Background(), v) != nil {
		panic("csp: send on a closed channel")
	}
}

// SendContext is Send that returns ErrClosed instead of panicking, and that gives up when ctx ends: it returns
// context.Cause(ctx) then, and v was not sent. With a context that has ended it sends nothing.
func (c *Chan[T]) SendContext(ctx context.Context, v T) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.mu.Lock()
	return c.send(ctx, v)
}

// send is SendContext with mu held, which it releases.
func (c *Chan[T]) send(ctx context.Context, v T) error {
	done, w, err := c.trySend(&v)
	if done {
		c.leave(w)
		return err
	}
	n := c.senders.Take()
	box := boxOf[T](n)
	*box = v
	n.Waiter.Prepare()
	c.senders.PushBack(n)
	c.hope(vainRecv)
	c.mu.Unlock()
	if ctx.Done() == nil {
		n.Waiter.Wait() // as few frames as can be below the switch: see Waiter.Wait
	} else if err := c.wait(ctx, &c.senders, n, box); err != nil {
		return err
	}
	var none T
	*box = none // it may hold something
	ok := n.Value.ok
	n.Done()
	if !ok {
		return ErrClosed
	}
	return nil
}

// TrySend sends v if it need not wait. It returns ErrWouldBlock if it would have to, and ErrClosed.
func (c *Chan[T]) TrySend(v T) error {
	c.mu.Lock()
	done, w, err := c.trySend(&v)
	c.leave(w)
	if !done {
		return ErrWouldBlock
	}
	return err
}

// Recv receives the oldest value, and waits while there is none. It reports false when the channel is closed and empty.
func (c *Chan[T]) Recv() (T, bool) {
	c.mu.Lock()
	v, err := c.recv(context.Background())
	return v, err == nil
}

// RecvContext is Recv that returns ErrClosed when the channel is closed and empty, and that gives up when ctx ends: it
// returns context.Cause(ctx) then, and nothing was received. With a context that has ended it receives nothing.
func (c *Chan[T]) RecvContext(ctx context.Context) (v T, err error) {
	if ctx.Err() != nil {
		return v, context.Cause(ctx)
	}
	c.mu.Lock()
	return c.recv(ctx)
}

// recv is RecvContext with mu held, which it releases.
func (c *Chan[T]) recv(ctx context.Context) (v T, err error) {
	done, w, err := c.tryRecv(&v)
	if done {
		c.leave(w)
		return v, err
	}
	n := c.receives.Take()
	box := boxOf[T](n)
	n.Waiter.Prepare()
	c.receives.PushBack(n)
	c.hope(vainSend)
	c.mu.Unlock()
	if ctx.Done() == nil {
		n.Waiter.Wait() // as few frames as can be below the switch: see Waiter.Wait
	} else if err := c.wait(ctx, &c.receives, n, box); err != nil {
		return v, err
	}
	var none T
	v, *box = *box, none
	ok := n.Value.ok
	n.Done()
	if !ok {
		return v, ErrClosed
	}
	return v, nil
}

// TryRecv receives the oldest value if there is one. Otherwise it returns ErrWouldBlock, or ErrClosed.
func (c *Chan[T]) TryRecv() (v T, err error) {
	c.mu.Lock()
	done, w, err := c.tryRecv(&v)
	c.leave(w)
	if !done {
		return v, ErrWouldBlock
	}
	return v, err
}

// Range receives until the channel is closed and empty.
func (c *Chan[T]) Range() iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			c.mu.Lock()
			v, err := c.recv(context.Background()) // Recv, with a frame less below the switch
			if err != nil || !yield(v) {
				return
			}
		}
	}
}

// Close closes the channel: receivers get what was sent before and then the end. As with Go's channels only senders
// should close, a second Close panics, and so does a Send that waits.
func (c *Chan[T]) Close() {
	c.mu.Lock()
	again := c.ended
	c.ended = true
	c.mu.Unlock()
	if again {
		panic("csp: close of a closed channel")
	}
	c.shut()
}

// shut closes c, and reports false when c was closed before. It is for the receiving side too: the sender's Close may
// still come.
func (c *Chan[T]) shut() bool {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	c.closed = true
	c.vain.Store(0)
	var wake []waker
	for _, q := range []*queue{&c.receives, &c.senders} {
		for n := pop(q, closedCase); n != nil; n = pop(q, closedCase) {
			wake = append(wake, settled(q, n, false))
		}
	}
	c.mu.Unlock()
	for _, w := range wake {
		w.wake()
	}
	return true
}

// wait waits on n, which is queued in q. After an error n is out of use.
func (c *Chan[T]) wait(ctx context.Context, q *queue, n *node, box *T) error {
	err := q.Await(ctx, &c.mu, n)
	if err != nil {
		var none T
		*box = none
		q.End(&c.mu, n, err)
	}
	return err
}

// trySend sends *v if that is possible at once. The caller holds mu, and wakes w once it has released it.
func (c *Chan[T]) trySend(v *T) (done bool, w waker, err error) {
	if c.closed {
		return true, waker{}, ErrClosed
	}
	if n := pop(&c.receives, 0); n != nil {
		*n.Value.at.(*T) = *v
		return true, settled(&c.receives, n, true), nil
	}
	if c.count == c.size {
		return false, waker{}, nil
	}
	c.put(*v)
	return true, waker{}, nil
}

// tryRecv receives into *v if that is possible at once. The caller holds mu, and wakes w once it has released it.
func (c *Chan[T]) tryRecv(v *T) (done bool, w waker, err error) {
	if c.count == 0 {
		if n := pop(&c.senders, 0); n != nil { // a rendezvous
			*v = *n.Value.at.(*T)
			return true, settled(&c.senders, n, true), nil
		}
		if c.closed {
			return true, waker{}, ErrClosed
		}
		return false, waker{}, nil
	}
	var zero T
	*v, c.buf[c.head] = c.buf[c.head], zero
	if c.head++; c.head == len(c.buf) {
		c.head = 0
	}
	c.count--
	c.hope(vainSend)
	if n := pop(&c.senders, 0); n != nil {
		c.put(*n.Value.at.(*T))
		w = settled(&c.senders, n, true)
	}
	return true, w, nil
}

func (c *Chan[T]) put(v T) {
	at := c.head + c.count
	if at >= len(c.buf) {
		at -= len(c.buf)
	}
	c.buf[at] = v
	c.count++
	c.hope(vainRecv)
}
