package natsremote

import (
	"context"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
)

// inbox is where the answers to a node's requests arrive: one subscription for all of them, made with the first. It is not the
// one that NATS's client has for its requests, since that offers no way to publish now and to wait later.
//
// mu guards all of it. Who takes an entry out of waiting is the only one that uses its channel's sending side: the
// subscription's goroutine for an answer and at its end, which fails all that are left, or whoever gives its request up.
type inbox struct {
	mu      sync.Mutex
	prefix  string // of the subjects that answers come to; "" until there is a subscription
	last    uint64 // number of the last request
	waiting map[string]chan *nats.Msg
	ended   bool // the subscription has ended, as it does with the connection only
}

// request is one that was sent. Its answer comes on the channel, which is closed without one when the connection ends.
type request struct {
	in      *inbox
	inbox   string
	answers <-chan *nats.Msg
}

// send publishes a request. What one goroutine publishes keeps its order, whatever it is.
func (in *inbox) send(conn *nats.Conn, m *nats.Msg) (request, error) {
	r, err := in.open(conn)
	if err != nil {
		return request{}, err
	}
	m.Reply = r.inbox
	if err := conn.PublishMsg(m); err != nil {
		in.take(r.inbox)
		return request{}, err
	}
	return r, nil
}

// open makes a place for an answer.
func (in *inbox) open(conn *nats.Conn) (request, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended {
		return request{}, nats.ErrConnectionClosed
	}
	if in.prefix == "" {
		prefix := conn.NewInbox() + "."
		sub, err := conn.Subscribe(prefix+"*", in.deliver)
		if err != nil {
			return request{}, err
		}
		sub.SetClosedHandler(in.end)
		in.prefix, in.waiting = prefix, map[string]chan *nats.Msg{}
	}
	in.last++
	r := request{in: in, inbox: in.prefix + strconv.FormatUint(in.last, 36)}
	answers := make(chan *nats.Msg, 1)
	in.waiting[r.inbox], r.answers = answers, answers
	return r, nil
}

func (in *inbox) take(inbox string) chan *nats.Msg {
	in.mu.Lock()
	defer in.mu.Unlock()
	answers := in.waiting[inbox]
	delete(in.waiting, inbox)
	return answers
}

// deliver hands an answer over. A second one, and one that nobody waits for any more, goes nowhere.
func (in *inbox) deliver(m *nats.Msg) {
	if answers := in.take(m.Subject); answers != nil {
		answers <- m
	}
}

// end is called when the subscription has ended. The connection may take requests for a moment longer, which would wait for ever.
// Where it closed before this could be set nobody waits: it refuses what is published.
func (in *inbox) end(string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ended = true
	for _, answers := range in.waiting {
		close(answers)
	}
	in.waiting = nil
}

// answer waits for the answer.
func (r request) answer(ctx context.Context) (*nats.Msg, error) {
	select {
	case m := <-r.answers:
		switch {
		case m == nil:
			return nil, nats.ErrConnectionClosed
		case len(m.Data) == 0 && m.Header.Get("Status") == "503": // from the server
			return nil, nats.ErrNoResponders
		}
		return m, nil
	case <-ctx.Done():
		r.in.take(r.inbox)
		return nil, ctx.Err()
	}
}
