package actor

import (
	"fmt"

	"github.com/ouro-io/ouro/future"
)

// Address is anything that has an actor: a Ref of whatever messages.
type Address interface{ address() *cell }

// Target takes messages of type M: an actor here, or what stands for one elsewhere.
type Target[M any] interface {
	// Tell sends without waiting for the message to be handled. Any goroutine.
	Tell(m M) error
	// Path names the target.
	Path() string
}

// Ref is the address of an actor. It is a small value that may be copied, compared and sent. The zero Ref refuses
// everything. All methods are safe from any goroutine or coroutine.
type Ref[M any] struct{ t Target[M] }

// RefTo makes a Ref of something that stands for an actor, as package natsremote does.
func RefTo[M any](t Target[M]) Ref[M] { return Ref[M]{t} }

func (r Ref[M]) address() *cell {
	if a, ok := r.t.(*actor[M]); ok {
		return &a.cell
	}
	return nil
}

// Tell sends m: at most once, in order as far as one sender is concerned. What the mailbox's Overflow says happens when it
// is full. The error is ErrStopped, ErrMailboxFull, or nil, which does not mean that m was handled, nor, with DropNewest, that
// it was kept (see Deliver). It allocates nothing.
func (r Ref[M]) Tell(m M) error {
	if r.t == nil {
		return fmt.Errorf("%w: the zero Ref", ErrStopped)
	}
	return r.t.Tell(m)
}

// Deliver is Tell for a sender that has to know: nil means that m is in the mailbox. It returns ErrMailboxFull also where
// DropNewest has dropped m. Like Tell it waits when Overflow is Wait, and with DropOldest a later message may still push m
// out. On a Ref to elsewhere it is Tell.
func (r Ref[M]) Deliver(m M) error {
	if a, ok := r.t.(*actor[M]); ok {
		return a.deliver(m)
	}
	return r.Tell(m)
}

// Path is the actor's place in the tree, such as /users/anna.
func (r Ref[M]) Path() string {
	if r.t == nil {
		return ""
	}
	return r.t.Path()
}

// Stop ends the actor after its present message, whose Context ends now. Messages that wait become dead letters. On a Ref
// to elsewhere it does nothing.
func (r Ref[M]) Stop() {
	if c := r.address(); c != nil {
		c.halt()
	}
}

// Drain ends the actor once it has handled the messages that wait now; more are refused. Its children drain then.
func (r Ref[M]) Drain() {
	if c := r.address(); c != nil {
		c.send(note{kind: noteDrain})
	}
}

// Ended is settled once the actor has ended; nil for a Ref to elsewhere.
func (r Ref[M]) Ended() *future.Future[struct{}] {
	if c := r.address(); c != nil {
		return c.end.Future().Shield()
	}
	return nil
}

// Path names the actor.
func (a *actor[M]) Path() string { return a.path }
