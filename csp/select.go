package csp

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ouro-io/ouro/executor"
)

// How a Select commits exactly one case
//
//  1. Each case is tried by itself, in a random order or in the order given. Mostly one of them can go on.
//  2. Otherwise the channels are locked, all of them, in the order of their numbers, so that selects never wait for each
//     other in a circle. The cases are tried once more. If none can go on, a node of the Select's Choice is queued at
//     each channel, and the locks are released. Two selects that meet at a channel are never both undecided: one of
//     them is queued, and the other holds all of its own locks and is queued nowhere.
//  3. The other events (timers, contexts, futures: executor.Source) are subscribed to. They need no locks, since all
//     they can do is to claim the Choice.
//  4. The Select waits. Who claims its Choice hands a value over in the node, or marks it, and wakes it.
//  5. All nodes are taken back and all sources told Unsubscribe. Only then may the Choice be used again.

// Case is one of the things that a Select may do. Recv, Send, After, Done and On make one.
type Case struct {
	ch    channel         // of Send and Recv
	src   executor.Source // of On and the others
	v     any             // *T: where to, or where from
	send  bool
	timed bool // After; src is made when the Select has to wait
	after time.Duration
	never bool // a nil channel
}

// channel is a Chan[T] for any T. All but lock, unlock and order is called under its mutex.
type channel interface {
	order() uint64
	lock()
	unlock()
	try(send bool, v any) (done bool, w waker, err error)
	attempt(send bool, v any) (done bool, err error) // takes the lock itself
	queue(send bool, v any, c *executor.Choice, i int) any
	unqueue(send bool, node any, won bool, v any) error // takes the lock itself
}

// taker is a Source that brings something, to the one party that waits for it.
type taker interface {
	executor.Source
	// take is called when the Select was won by the source. done is false when there was nothing after all.
	take(into any) (done bool, err error)
}

// Recv is a case that receives into *into. Its Select returns ErrClosed when the channel is closed and empty; *into is
// left as it is then. With a nil channel it never happens, as with Go's.
func Recv[T any](c *Chan[T], into *T) Case {
	if into == nil {
		panic("csp: Recv case without a place to receive into")
	}
	return Case{ch: c, v: into, never: c == nil}
}

// Send is a case that sends *v, which is read when the case happens and must not be changed until the Select has
// returned. Its Select returns ErrClosed when the channel is closed. With a nil channel it never happens, as with Go's.
func Send[T any](c *Chan[T], v *T) Case {
	if v == nil {
		panic("csp: Send case without a value")
	}
	return Case{ch: c, v: v, send: true, never: c == nil}
}

// After is a case that happens when d has passed since the Select began to wait. 0 or less makes it the default: it
// happens when no other case can at once.
func After(d time.Duration) Case { return Case{timed: true, after: d} }

// Done is a case that happens when ctx has ended. Unlike the context that is given to Select it is a case like the
// others, with its index.
func Done(ctx context.Context) Case {
	return Case{src: &contextSource{ctx: ctx}, never: ctx.Done() == nil}
}

// On is a case that happens when s does: a future of package future, an executor.Alarm, the Changed of a Watcher.
func On(s executor.Source) Case { return Case{src: s, never: s == nil} }

// Select waits until one of the cases can happen and does exactly that one; if several can, one of them at random. It
// returns its index, and ErrClosed when its channel is closed. When ctx ends first it returns -1 and
// context.Cause(ctx), and nothing has happened. Without cases it waits for ctx.
func Select(ctx context.Context, cases ...Case) (int, error) { return do(ctx, cases, false) }

// SelectPriority is Select that takes the first case, in the order given, that can happen when it looks. Among cases that
// it has to wait for the first to happen wins.
func SelectPriority(ctx context.Context, cases ...Case) (int, error) { return do(ctx, cases, true) }

// TrySelect is Select that does not wait: it returns -1 and ErrWouldBlock when no case can happen at once.
func TrySelect(cases ...Case) (int, error) {
	var order [maxShuffled]uint8
	if i, err := attemptAll(cases, shuffle(&order, len(cases))); i >= 0 {
		return i, err
	}
	if i := otherwise(cases); i >= 0 {
		return i, nil
	}
	return -1, ErrWouldBlock
}

// otherwise returns the case that happens when no other can, -1 if there is none.
func otherwise(cases []Case) int {
	for i := range cases {
		if cases[i].timed && cases[i].after <= 0 {
			return i
		}
	}
	return -1
}

func do(ctx context.Context, cases []Case, priority bool) (int, error) {
	if ctx.Err() != nil {
		return -1, context.Cause(ctx)
	}
	var array [maxShuffled]uint8
	var order []uint8
	if !priority {
		order = shuffle(&array, len(cases))
	}
	if i, err := attemptAll(cases, order); i >= 0 {
		return i, err
	}
	if i := otherwise(cases); i >= 0 {
		return i, nil
	}
	defer stopAlarms(cases)
	for {
		s := selections.Get().(*selection)
		i, done, err := s.run(ctx, cases, order)
		clear(s.held)
		clear(s.nodes)
		s.held, s.nodes = s.held[:0], s.nodes[:0]
		selections.Put(s)
		if done {
			return i, err
		}
		if ctx.Err() != nil {
			return -1, context.Cause(ctx)
		}
		if i, err := attemptAll(cases, order); i >= 0 {
			return i, err
		}
	}
}

// maxShuffled is the number of cases up to which a Select tries them in a truly random order. Beyond it begins at a
// random one and goes round.
const maxShuffled = 16

// shuffle returns a random order of n cases, nil if n < 2.
func shuffle(a *[maxShuffled]uint8, n int) []uint8 {
	if n < 2 {
		return nil
	}
	if n > maxShuffled {
		return a[:0:0]
	}
	var r uint64
	for i := range n {
		if i%4 == 1 { // four draws of 16 bits; the first case needs none
			r = rand.Uint64()
		}
		j := uint8((r & 0xffff) * uint64(i+1) >> 16) // even but for one in 4096
		r >>= 16
		a[i] = a[j]
		a[j] = uint8(i)
	}
	return a[:n]
}

// each calls f with the indices of n cases in the order o: nil for as given, empty for a rotation.
func each(n int, o []uint8, f func(i int) bool) {
	start := 0
	if o != nil && len(o) == 0 {
		start = rand.IntN(n)
	}
	for k := range n {
		i := start + k
		if len(o) > 0 {
			i = int(o[k])
		} else if i >= n {
			i -= n
		}
		if f(i) {
			return
		}
	}
}

// attemptAll tries the cases one by one. It returns -1 when none could happen.
func attemptAll(cases []Case, order []uint8) (won int, err error) {
	won = -1
	each(len(cases), order, func(i int) bool {
		done := false
		if done, err = cases[i].attempt(); done {
			won = i
		}
		return done
	})
	return won, err
}

func (k *Case) attempt() (bool, error) {
	switch {
	case k.never:
	case k.ch != nil:
		return k.ch.attempt(k.send, k.v)
	case k.src != nil:
		return k.taken()
	}
	return false, nil
}

// taken takes the event of a source if it has happened.
func (k *Case) taken() (bool, error) {
	if !k.src.Ready() {
		return false, nil
	}
	if t, ok := k.src.(taker); ok {
		return t.take(k.v)
	}
	return true, nil
}

// selection is what a Select needs when it has to wait.
type selection struct {
	choice executor.Choice
	held   []channel // locked, in order
	nodes  []any     // per case
}

var selections = sync.Pool{New: func() any { return new(selection) }}

// run is steps 2 to 5. done is false when the event that won had been taken meanwhile by another receiver.
func (s *selection) run(ctx context.Context, cases []Case, order []uint8) (won int, done bool, err error) {
	s.lockAll(cases)
	var w waker
	won = -1
	each(len(cases), order, func(i int) bool {
		if k := &cases[i]; k.ch != nil && !k.never {
			if done, w, err = k.ch.try(k.send, k.v); done {
				won = i
			}
		}
		return done
	})
	if done {
		s.unlockAll()
		w.wake()
		return won, true, err
	}
	s.choice.Prepare()
	for i := range cases {
		var node any
		if k := &cases[i]; k.ch != nil && !k.never {
			node = k.ch.queue(k.send, k.v, &s.choice, i)
		}
		s.nodes = append(s.nodes, node)
	}
	s.unlockAll()
	s.subscribe(cases)
	won, err = s.choice.WaitContext(ctx)
	gaveUp := err != nil
	for i := range cases {
		if e := s.withdraw(&cases[i], i, i == won); e != nil {
			err = e
		}
	}
	if gaveUp {
		return -1, true, err
	}
	if t, ok := cases[won].src.(taker); ok {
		done, err = t.take(cases[won].v)
		return won, done, err
	}
	return won, true, err
}

func (s *selection) subscribe(cases []Case) {
	for i := range cases {
		k := &cases[i]
		if k.timed && k.src == nil { // not when it waits again: the time runs from the first wait
			k.src = executor.After(k.after)
		}
		if k.src != nil && !k.never {
			k.src.Subscribe(&s.choice, i)
		}
	}
}

// stopAlarms makes the cases as they were given.
func stopAlarms(cases []Case) {
	for i := range cases {
		if k := &cases[i]; k.timed && k.src != nil {
			k.src.(*executor.Alarm).Stop()
			k.src = nil
		}
	}
}

// withdraw takes back what case i left behind.
func (s *selection) withdraw(k *Case, i int, won bool) error {
	switch {
	case k.never:
	case k.ch != nil:
		return k.ch.unqueue(k.send, s.nodes[i], won, k.v)
	case k.src != nil:
		k.src.Unsubscribe(&s.choice, i)
	}
	return nil
}

// lockAll locks each channel of cases once, in order.
func (s *selection) lockAll(cases []Case) {
	for i := range cases {
		k := &cases[i]
		if k.ch == nil || k.never {
			continue
		}
		at := len(s.held)
		for at > 0 && s.held[at-1].order() > k.ch.order() {
			at--
		}
		if at > 0 && s.held[at-1].order() == k.ch.order() {
			continue
		}
		s.held = append(s.held, nil)
		copy(s.held[at+1:], s.held[at:])
		s.held[at] = k.ch
	}
	for _, c := range s.held {
		c.lock()
	}
}

func (s *selection) unlockAll() {
	for _, c := range s.held {
		c.unlock()
	}
}

// orders numbers the channels that take part in selects.
var orders atomic.Uint64
