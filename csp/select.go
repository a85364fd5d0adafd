package csp

import (
	"context"
	"time"

	"github.com/ouro-io/ouro/executor"
)

// How a Select commits exactly one case
//
//  1. Each case is tried by itself, in a random order or in the order given. Mostly one of them can go on. What is known to
//     be in vain (Chan.vain) is passed over without a lock.
//  2. Otherwise the Select enlists: it opens its Choice, and goes from channel to channel once more, holding one lock at a
//     time. Where nothing is to be had it queues a node of the Choice; from then on whoever comes there can claim it. If
//     something is to be had meanwhile, and it is not itself a Select's, the Select claims its own Choice and takes that; if
//     its Choice was claimed before, that case it is.
//  3. If it finds a node of another Select that is undecided, both could be claimed at any moment, and neither can claim two
//     Choices in one step. Then it claims its own, for no case, takes its nodes back, and begins anew, with the locks of all
//     its channels, taken in the order of their numbers, so that selects never wait for each other in a circle. The cases are
//     tried once more. If none can go on, a node is queued at each channel, and the locks are released. While it tries, this
//     Select is queued nowhere, so it needs only the other one's Choice; and it is never undecided, queued, and trying.
//  4. The other events (timers, contexts, futures: executor.Source) are subscribed to. They need no locks, since all
//     they can do is to claim the Choice.
//  5. The Select waits. Who claims its Choice takes the value from, or leaves it at, the place that the case says, and wakes it.
//  6. The nodes at the other channels are taken back, and all sources told Unsubscribe. Only then may the Choice be used again.

// Case is one of the things that a Select may do. Recv, Send, After, Done and On make one.
type Case struct {
	ch    channel         // of Send and Recv; nil also for a channel that is nil
	core  *core           // of ch
	src   executor.Source // of On and the others
	v     any             // *T: where to, or where from
	after time.Duration
	send  bool
	timed bool // After; src is made when the Select has to wait
	never bool // nothing to wait for
}

// channel is what a Select needs of a Chan[T] for any T beyond its core.
type channel interface {
	// attempt does a case's operation if that is possible at once.
	attempt(send bool, v any) (done bool, err error)
	// try is attempt under the lock; who called it wakes w afterwards.
	try(send bool, v any) (done bool, w waker, err error)
}

// finding is what a Select finds at a channel.
type finding uint8

const (
	foundNothing finding = iota // it is queued
	foundIt                     // it has its case
	foundLate                   // it has one already
	foundSelect                 // another one that is undecided
)

// closedCase marks the index of a case that happens because its channel was closed. noCase is no case's.
const (
	closedCase = 1 << 24
	noCase     = 1 << 25
)

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
	if c == nil {
		return Case{never: true}
	}
	return Case{ch: c, core: &c.core, v: into}
}

// Send is a case that sends *v, which is read when the case happens and must not be changed until the Select has
// returned. Its Select returns ErrClosed when the channel is closed. With a nil channel it never happens, as with Go's.
func Send[T any](c *Chan[T], v *T) Case {
	if v == nil {
		panic("csp: Send case without a value")
	}
	if c == nil {
		return Case{never: true}
	}
	return Case{ch: c, core: &c.core, v: v, send: true}
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
	var t sequence
	t.shuffle(len(cases))
	if i, _, err := attemptAll(cases, &t); i >= 0 {
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
	var t sequence
	if !priority {
		t.shuffle(len(cases))
	}
	i, others, err := attemptAll(cases, &t)
	if i >= 0 {
		return i, err
	}
	if others {
		if i := otherwise(cases); i >= 0 {
			return i, nil
		}
	}
	for {
		s := selections.Get().(*selection)
		s.enlist(cases, &t, others)
		var won int
		var err error
		if ctx.Done() == nil {
			won = s.choice.Wait() // as few frames as can be below the switch: see Waiter.Wait
		} else {
			won, err = s.choice.WaitContext(ctx)
		}
		done := true
		if won, err = s.finish(cases, &t, won, err); won >= 0 {
			if k, ok := cases[won].src.(taker); ok {
				done, err = k.take(cases[won].v)
			}
		}
		// When done is false the event that won had been taken meanwhile by another receiver.
		if !done && ctx.Err() != nil {
			won, done, err = -1, true, context.Cause(ctx)
		}
		if !done {
			won, _, err = attemptAll(cases, &t)
			done = won >= 0
		}
		if done {
			if others {
				stopAlarms(cases)
			}
			return won, err
		}
	}
}

// attemptAll tries the cases one by one. It returns -1 when none could happen, and then whether there are others than channels.
func attemptAll(cases []Case, t *sequence) (won int, others bool, err error) {
	for k := range cases {
		i := t.at(k, len(cases))
		switch c := &cases[i]; {
		case c.ch != nil:
			if c.core.vain.Load()&vainly(c.send) != 0 {
				continue
			}
			if done, err := c.ch.attempt(c.send, c.v); done {
				return i, false, err
			}
		case c.src != nil && !c.never:
			if done, err := c.taken(); done {
				return i, true, err
			}
			others = true
		default:
			others = true
		}
	}
	return -1, others, nil
}

// vainly is the bit that says that a send or a receive would have to wait.
func vainly(send bool) uint32 {
	if send {
		return vainSend
	}
	return vainRecv
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

// stopAlarms makes the cases as they were given.
func stopAlarms(cases []Case) {
	for i := range cases {
		if k := &cases[i]; k.timed && k.src != nil {
			k.src.(*executor.Alarm).Stop()
			k.src = nil
		}
	}
}
