package natsremote

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/actor"
	"github.com/ouro-io/ouro/future"
)

// newSystem is a system that ends with the test.
func newSystem(t *testing.T) *actor.System {
	s, err := actor.NewSystem(actor.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Shutdown(context.Background())) })
	return s
}

// newPair is two nodes that end with the test, if they have not before. The first has the server.
func newPair(t *testing.T) (a, b *Node) {
	a, err := Connect(Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close() })
	b, err = Connect(Config{URL: a.URL()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return a, b
}

// question is one for an actor that is reached by ExposeAsk.
type question struct {
	n     int
	reply actor.Reply[int]
}

func asked(n int, r actor.Reply[int]) question { return question{n, r} }

// spawn starts an actor with a behavior.
func spawn[M any](t *testing.T, s *actor.System, p actor.Props[M], b func(c *actor.Context[M], m M) error) actor.Ref[M] {
	p.New = func(*actor.Context[M]) (actor.Behavior[M], error) { return b, nil }
	r, err := actor.Spawn(s, p)
	require.NoError(t, err)
	return r
}

// What one sender asks and tells arrives in that order, whether it waits in between or not.
func TestOrder(t *testing.T) {
	system := newSystem(t)
	a, b := newPair(t)
	const n = 300
	got := make(chan int, n)
	ref := spawn(t, system, actor.Props[question]{}, func(_ *actor.Context[question], q question) error {
		got <- q.n
		q.reply.Send(q.n)
		return nil
	})
	_, err := ExposeAsk(a, "x", ref, hang, JSON[int](), JSON[int](), asked)
	require.NoError(t, err)
	to := To(b, "x", JSON[int]())
	var answers []*future.Future[int]
	for i := range n {
		if i%3 == 2 {
			require.NoError(t, to.Ref().Tell(i))
			continue
		}
		answers = append(answers, Ask(limited(t), to, i, JSON[int]()))
	}
	_, err = future.All(answers...).Await(limited(t))
	require.NoError(t, err)
	for i := range n {
		require.Equal(t, i, <-got)
	}
}

// A request ends with what it waits for: its context, its connection, or a Close of its own node while it waits.
func TestRequestsEnd(t *testing.T) {
	system := newSystem(t)
	a, b := newPair(t)
	got := make(chan struct{}, 10)
	ref := spawn(t, system, actor.Props[question]{}, func(*actor.Context[question], question) error {
		got <- struct{}{}
		return nil // and no answer
	})
	_, err := ExposeAsk(a, "x", ref, hang, JSON[int](), JSON[int](), asked)
	require.NoError(t, err)
	to := To(b, "x", JSON[int]())
	mine := errors.New("mine")
	ctx, cancel := context.WithCancelCause(context.Background())
	f := Ask(ctx, to, 1, JSON[int]())
	<-got
	cancel(mine)
	_, err = f.Await(limited(t))
	require.ErrorIs(t, err, mine)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, b.inbox.waiting, "given up")

	_, err = Ask(ctx, to, 1, JSON[int]()).Await(limited(t))
	require.ErrorIs(t, err, mine, "its context has ended before")
	require.Empty(t, b.inbox.waiting)

	f = Ask(context.Background(), to, 1, JSON[int]())
	<-got
	f.Cancel(mine)
	_, err = f.Await(limited(t))
	require.ErrorIs(t, err, mine)

	f = Ask(context.Background(), to, 1, JSON[int]())
	<-got
	require.NoError(t, b.Close())
	_, err = f.Await(limited(t))
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
	_, err = Ask(context.Background(), to, 1, JSON[int]()).Await(limited(t))
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
	require.Empty(t, got, "the question whose context had ended was not sent")
}
