package natsremote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ouro-io/ouro/actor"
	"github.com/ouro-io/ouro/future"
)

// errElsewhere answers TellAcked where its promise cannot be kept.
var errElsewhere = errors.New("what is exposed there is not an actor of that process, so TellAcked cannot say what becomes of the message: use Tell")

// errNoAnswers answers Ask where nobody would.
var errNoAnswers = errors.New("that name is exposed for messages only, by Expose: questions need a name of their own, by ExposeAsk")

// Expose makes ref reachable by name: messages that others send are told to it, in order, and those that want it are
// acknowledged once they are in the mailbox. While the mailbox makes Tell wait, messages gather in the connection. Beyond
// 500,000 messages or 64 MiB for one name NATS drops them, and tells so (nats.ErrSlowConsumer) the nats.ErrorHandler of
// Config.Options; none of them is acknowledged. If several nodes expose one name each gets every message, and the first
// acknowledgement counts. stop ends it, and drops what gathers. Questions are refused. A ref to an actor elsewhere is told what
// comes by Tell; TellAcked is refused.
func Expose[M any](n *Node, name string, ref actor.Ref[M], c Codec[M]) (stop func() error, err error) {
	return n.serve(name, func(b []byte, from sender) {
		if from.asks() {
			from.answer(nil, errNoAnswers)
			return
		}
		m, err := c.Decode(b)
		switch {
		case err != nil:
		case from.waits() && ref.Ended() == nil:
			err = errElsewhere
		default:
			err = ref.Deliver(m) // Tell would not say what DropNewest has dropped
		}
		from.answer(nil, err)
	})
}

// ExposeAsk makes ref reachable for questions: of each, make makes a message with the place for the answer. An answer that
// takes longer than timeout is an error. What is told to the name is a question whose answer nobody gets; TellAcked waits for that.
func ExposeAsk[Q, M, R any](n *Node, name string, ref actor.Ref[M], timeout time.Duration, questions Codec[Q], answers Codec[R], make func(Q, actor.Reply[R]) M) (stop func() error, err error) {
	return n.serve(name, func(b []byte, from sender) {
		q, err := questions.Decode(b)
		if err != nil {
			from.answer(nil, err)
			return
		}
		answer := actor.Ask(ref, timeout, func(r actor.Reply[R]) M { return make(q, r) })
		encoded := future.Then(answer, answers.Encode)
		// The answer goes out on whichever goroutine gives it: nobody waits here, so questions do not queue up.
		future.Map(encoded, func(b []byte) struct{} { from.answer(b, nil); return struct{}{} }).
			Recover(func(err error) (none struct{}, _ error) { from.answer(nil, err); return none, nil })
	})
}

// serve calls handle for each message to name.
func (n *Node) serve(name string, handle func(b []byte, from sender)) (stop func() error, err error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	sub, err := n.subscribe(n.subject(name), func(m *nats.Msg) { handle(m.Data, sender{m}) })
	if err != nil {
		return nil, fmt.Errorf("natsremote: %s: %w", name, err)
	}
	stop = func() error {
		n.mu.Lock()
		delete(n.exposed, sub)
		n.mu.Unlock()
		return sub.Unsubscribe()
	}
	// Known to the server when this returns, so that who is told of the name next finds it.
	if err := n.Flush(context.Background()); err != nil {
		return nil, errors.Join(fmt.Errorf("natsremote: %s: %w", name, err), stop())
	}
	return stop, nil
}

// subscribe has Close drain the subscription.
func (n *Node) subscribe(subject string, handle nats.MsgHandler) (*nats.Subscription, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.exposed == nil {
		return nil, nats.ErrConnectionClosed
	}
	sub, err := n.conn.Subscribe(subject, handle)
	if err == nil {
		n.exposed[sub] = false
	}
	return sub, err
}
