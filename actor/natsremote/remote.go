package natsremote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/ouro-io/ouro/actor"
	"github.com/ouro-io/ouro/future"
)

// Codec turns messages into bytes and back.
type Codec[M any] struct {
	Encode func(M) ([]byte, error)
	// Decode must not keep the bytes.
	Decode func([]byte) (M, error)
}

// JSON is the codec of encoding/json.
func JSON[M any]() Codec[M] {
	return Codec[M]{
		Encode: func(m M) ([]byte, error) { return json.Marshal(m) },
		Decode: func(b []byte) (m M, err error) {
			err = json.Unmarshal(b, &m)
			return m, err
		},
	}
}

// RemoteError is an error of the other side: its actor refused or failed, or the message made no sense there.
type RemoteError struct{ Text string }

func (e *RemoteError) Error() string { return "natsremote: the other side: " + e.Text }

// ErrNobody means that no node exposes an actor of that name at the moment: it may be that the server has restarted, and the
// node that does has not come back yet.
var ErrNobody = errors.New("natsremote: nobody has that actor")

// Remote is an actor elsewhere. All methods are safe from any goroutine or coroutine.
type Remote[M any] struct {
	n    *Node
	name string
	c    Codec[M]
}

// To is the actor that some node exposes by name. Whether there is one shows when a message is sent.
func To[M any](n *Node, name string, c Codec[M]) *Remote[M] { return &Remote[M]{n, name, c} }

// Ref is an ordinary address: code that tells actors here tells this one too, at most once. Its Tell and Deliver are Tell of r,
// with its errors; Stop and Drain do nothing, and Ended is nil.
func (r *Remote[M]) Ref() actor.Ref[M] { return actor.RefTo[M](r) }

// Path names the actor.
func (r *Remote[M]) Path() string { return "nats:" + r.name }

// Tell publishes m. nil means that it is on its way, or kept while the connection is being made anew (up to 8 MiB). The error is
// ErrName, the codec's, or one of package nats, such as nats.ErrMaxPayload or nats.ErrConnectionClosed; never one of package actor.
func (r *Remote[M]) Tell(m M) error {
	b, err := r.encode(m)
	if err != nil {
		return err
	}
	return r.n.conn.Publish(r.n.subject(r.name), b)
}

func (r *Remote[M]) encode(m M) ([]byte, error) {
	if err := checkName(r.name); err != nil {
		return nil, err
	}
	b, err := r.c.Encode(m)
	if err != nil {
		return nil, fmt.Errorf("natsremote: the message for %s: %w", r.name, err)
	}
	return b, nil
}

// TellAcked sends m and waits until it is in the actor's mailbox, where DropOldest may still push it out. It fails with
// ErrNobody, a *RemoteError, ctx's cause, or an error of the connection. ctx should have an end: an acknowledgement may be lost
// with a connection.
func (r *Remote[M]) TellAcked(ctx context.Context, m M) error {
	_, err := r.request(ctx, m, nil).Await(ctx)
	return err
}

// request sends m and returns the future of the answer. m is published before it returns: were that left to what waits for the
// answer, two requests in a row could overtake each other.
func (r *Remote[M]) request(ctx context.Context, m M, h nats.Header) *future.Future[[]byte] {
	b, err := r.encode(m)
	if err != nil {
		return future.Rejected[[]byte](err)
	}
	var sent request
	if err = ctx.Err(); err == nil {
		sent, err = r.n.inbox.send(r.n.conn, &nats.Msg{Subject: r.n.subject(r.name), Header: h, Data: b})
	}
	return future.GoOn(goroutine{}, ctx, func(ctx context.Context) ([]byte, error) {
		var answer *nats.Msg
		if err == nil {
			answer, err = sent.answer(ctx)
		}
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return nil, fmt.Errorf("%w: %s", ErrNobody, r.name)
		case err != nil:
			return nil, fmt.Errorf("natsremote: %s: %w", r.name, err)
		}
		if text, failed := answer.Header[errorHeader]; failed { // also one without a text
			return nil, &RemoteError{strings.Join(text, " ")}
		}
		return answer.Data, nil
	})
}

// goroutine starts what waits in NATS's client, which knows nothing of coroutines, where it holds up no worker.
type goroutine struct{}

func (goroutine) Go(fn func()) error {
	go fn()
	return nil
}

// Ask sends the question q and returns the future of the answer. Errors are those of TellAcked.
func Ask[Q, R any](ctx context.Context, r *Remote[Q], q Q, answers Codec[R]) *future.Future[R] {
	return future.Then(r.request(ctx, q, nats.Header{questionHeader: {"1"}}), answers.Decode)
}
