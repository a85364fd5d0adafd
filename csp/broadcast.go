package csp

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/waitq"
)

// Lag says what happens when a receiver of a Broadcast is a whole capacity behind.
type Lag uint8

const (
	// LagBlock makes senders wait for the slowest receiver. Nothing is lost.
	LagBlock Lag = iota
	// LagDropOldest lets the receiver miss the oldest values. Receiver.Missed counts them.
	LagDropOldest
	// LagFail does the same, and the receiver's next receive returns a *LagError with the number of them.
	LagFail
)

// LagError tells a receiver how many values it has missed.
type LagError struct {
	// Missed is the number of values since the last one that it received.
	Missed uint64
}

func (e *LagError) Error() string {
	return fmt.Sprintf("csp: the receiver was too slow and has missed %d values: receive faster, or raise BroadcastConfig.Capacity", e.Missed)
}

const defaultBroadcast = 64

// BroadcastConfig configures a Broadcast. The zero value works.
type BroadcastConfig struct {
	// Capacity is the number of values that are kept for slow receivers; 0 means 64, at most MaxCapacity. A value is
	// kept until so many later ones have come.
	Capacity int
	// Lag says what happens when a receiver is that far behind; the default is that senders wait.
	Lag Lag
}

// Broadcast is a channel of which every receiver gets every value. NewBroadcast makes one. All methods are safe from any
// goroutine or coroutine.
//
// The values form a sequence, numbered from 0, of which the ring holds the last; next is the number of the next one.
// Each Receiver has a cursor, the number of the value that it receives next. Under mu:
//
//   - with LagBlock no cursor is more than the ring's length behind next, and senders wait only while one is just so far
//     behind. slowest is at most the least cursor; it is made exact when the ring seems full.
//   - receivers wait only with their cursor at next.
type Broadcast[T any] struct {
	lag       Lag
	mu        sync.Mutex
	ring      []T
	next      uint64
	slowest   uint64
	receivers []*Receiver[T]
	senders   waitq.List[sending[T]]
	wait      watchers // receivers
	closed    bool
	ops       uint32 // sends that did not wait
}

// sending is what a sender that waits gives, and whether it was taken.
type sending[T any] struct {
	v  T
	ok bool
}

// NewBroadcast makes a Broadcast. It panics when a value of c is out of its limits.
func NewBroadcast[T any](c BroadcastConfig) *Broadcast[T] {
	if c.Capacity == 0 {
		c.Capacity = defaultBroadcast
	}
	if c.Capacity < 0 || c.Capacity > MaxCapacity {
		panic(fmt.Sprintf("csp: BroadcastConfig.Capacity is %d: use 0 for the default or 1 to %d", c.Capacity, MaxCapacity))
	}
	if c.Lag > LagFail {
		panic(fmt.Sprintf("csp: BroadcastConfig.Lag is %d: use LagBlock, LagDropOldest or LagFail", c.Lag))
	}
	return &Broadcast[T]{lag: c.Lag, ring: make([]T, c.Capacity)}
}

// Subscribe makes a receiver of what is sent from now on. It must be closed when it is not needed any more: with
// LagBlock senders wait for it.
func (b *Broadcast[T]) Subscribe() *Receiver[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &Receiver[T]{b: b, cursor: b.next}
	b.receivers = append(b.receivers, r)
	return r
}

// Receivers is the number of receivers.
func (b *Broadcast[T]) Receivers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.receivers)
}

// Send sends v to all receivers; with LagBlock it waits for the slowest. It panics when b is closed, also if that
// happens while it waits.
func (b *Broadcast[T]) Send(v T) {
	if b.SendContext(context.Background(), v) != nil {
		panic("csp: send on a closed broadcast")
	}
}

// SendContext is Send that returns ErrClosed instead of panicking, and that gives up when ctx ends: it returns
// context.Cause(ctx) then, and v was sent to nobody.
func (b *Broadcast[T]) SendContext(ctx context.Context, v T) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.mu.Lock()
	if b.closed || b.room() && b.senders.Empty() {
		err := b.put(v)
		b.leave()
		return err
	}
	n := b.senders.Take()
	n.Value = sending[T]{v: v}
	n.Waiter.Prepare()
	b.senders.PushBack(n)
	b.mu.Unlock()
	err := b.senders.Await(ctx, &b.mu, n)
	ok := err != nil || n.Value.ok
	n.Value = sending[T]{} // it may hold something
	b.senders.End(&b.mu, n, err)
	if !ok {
		return ErrClosed
	}
	return err
}

// TrySend is SendContext that returns ErrWouldBlock instead of waiting.
func (b *Broadcast[T]) TrySend(v T) error {
	b.mu.Lock()
	err := ErrWouldBlock
	if b.closed || b.room() && b.senders.Empty() {
		err = b.put(v)
	}
	b.leave()
	return err
}

// leave releases mu after a send that did not wait, and lets others run now and then.
func (b *Broadcast[T]) leave() {
	b.ops++
	spent := b.ops%checkpointEvery == 0
	b.mu.Unlock()
	if spent {
		executor.Checkpoint(checkpointEvery)
	}
}

// Close lets receivers get what was sent before, and then the end. A second Close changes nothing.
func (b *Broadcast[T]) Close() {
	b.mu.Lock()
	var wake waitq.Chain[sending[T]]
	b.closed = true
	for n := b.senders.PopFront(); n != nil; n = b.senders.PopFront() {
		b.senders.Retire(n)
		wake.Add(n)
	}
	b.wait.tell()
	b.mu.Unlock()
	wake.Wake()
}

// room reports whether one more value may be put into the ring. The caller holds mu.
func (b *Broadcast[T]) room() bool {
	size := uint64(len(b.ring))
	if b.lag != LagBlock || b.next-b.slowest < size {
		return true
	}
	b.slowest = b.next
	for _, r := range b.receivers {
		b.slowest = min(b.slowest, r.cursor)
	}
	return b.next-b.slowest < size
}

// put puts v into the ring, where there is room. The caller holds mu.
func (b *Broadcast[T]) put(v T) error {
	if b.closed {
		return ErrClosed
	}
	b.ring[b.next%uint64(len(b.ring))] = v
	b.next++
	b.wait.tell()
	return nil
}

// admit puts in what waiting senders have, while there is room. The caller holds mu, and wakes them afterwards.
func (b *Broadcast[T]) admit(wake *waitq.Chain[sending[T]]) {
	for !b.senders.Empty() && b.room() {
		n := b.senders.PopFront()
		n.Value.ok = b.put(n.Value.v) == nil
		b.senders.Retire(n)
		wake.Add(n)
	}
}

// drop takes a receiver out.
func (b *Broadcast[T]) drop(r *Receiver[T]) {
	b.mu.Lock()
	var wake waitq.Chain[sending[T]]
	if i := slices.Index(b.receivers, r); i >= 0 {
		b.receivers = slices.Delete(b.receivers, i, i+1)
		r.gone = true
		b.wait.tell() // it may wait itself
		b.admit(&wake)
	}
	b.mu.Unlock()
	wake.Wake()
}
