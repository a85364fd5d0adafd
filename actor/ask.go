package actor

import (
	"time"

	"github.com/ouro-io/ouro/future"
)

// Reply is where the answer to an Ask goes. It is a small value, meant to be part of a message.
type Reply[R any] struct{ a *ask[R] }

// ask is an Ask that waits for its answer.
type ask[R any] struct {
	future.Promise[R]
	to *cell // nil when elsewhere
}

// Send gives the answer. It reports false when nobody waits for it any more.
func (r Reply[R]) Send(v R) bool {
	if r.a == nil {
		return false
	}
	r.a.forget()
	return r.a.Resolve(v)
}

// Fail answers with an error, which must not be nil.
func (r Reply[R]) Fail(err error) bool {
	if r.a == nil {
		return false
	}
	r.a.forget()
	return r.a.Reject(err)
}

func (a *ask[R]) forget() {
	if a.to != nil {
		a.to.mu.Lock()
		delete(a.to.asks, a)
		a.to.mu.Unlock()
	}
}

func (a *ask[R]) fail(err error) { a.Reject(err) }

// Ask sends the message that build makes with the place for the answer, and returns the future of that. It fails with what
// Tell returns, with ErrStopped when the actor ends without an answer, and with a *future.TimeoutError after timeout.
//
//	balance, err := actor.Ask(account, time.Second, func(r actor.Reply[int]) Message { return Get{r} }).Await(ctx)
//
// An actor that awaits the answer handles no other message meanwhile; two that ask each other wait until the timeout.
func Ask[M, R any](to Ref[M], timeout time.Duration, build func(Reply[R]) M) *future.Future[R] {
	a := &ask[R]{to: to.address()}
	a.OnCancel(func(cause error) {
		a.forget()
		a.Reject(cause)
	})
	if c := a.to; c != nil {
		// Listed before the message is sent: once that has succeeded the actor's end finds it.
		c.mu.Lock()
		if c.asks == nil {
			c.asks = map[failer]struct{}{}
		}
		c.asks[a] = struct{}{}
		c.mu.Unlock()
	}
	f := a.Future().Timeout(timeout)
	if err := to.Tell(build(Reply[R]{a})); err != nil {
		a.forget()
		a.Reject(err)
	}
	return f
}
