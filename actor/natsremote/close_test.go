package natsremote

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/actor"
)

// arrived waits until what from has told has come to n's connection.
func arrived(t *testing.T, from, n *Node) {
	require.NoError(t, from.Flush(limited(t)))
	require.NoError(t, n.Flush(limited(t)))
}

// held is an actor that handles nothing until it is opened, behind a mailbox of one.
func held(t *testing.T) (ref actor.Ref[int], open func(), handled *atomic.Int64) {
	handled = new(atomic.Int64)
	gate := make(chan struct{})
	ref = spawn(t, newSystem(t), actor.Props[int]{Mailbox: 1, Overflow: actor.Wait}, func(*actor.Context[int], int) error {
		<-gate
		handled.Add(1)
		return nil
	})
	return ref, func() { close(gate) }, handled
}

// A Close that cannot hand over what has arrived says so.
func TestCloseTooLate(t *testing.T) {
	a, _ := newPair(t)
	b, err := Connect(Config{URL: a.URL(), Options: []nats.Option{nats.DrainTimeout(30 * time.Millisecond)}})
	require.NoError(t, err)
	ref, open, _ := held(t)
	t.Cleanup(open)
	_, err = Expose(b, "x", ref, JSON[int]())
	require.NoError(t, err)
	for i := range 20 {
		require.NoError(t, To(a, "x", JSON[int]()).Tell(i))
	}
	arrived(t, a, b)
	err = b.Close()
	require.ErrorIs(t, err, nats.ErrDrainTimeout)
	require.ErrorContains(t, err, "30ms")
	require.Equal(t, err, b.Close())
	_, err = Expose(b, "y", ref, JSON[int]())
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
}

// What has arrived before a Close is in the mailbox after it, also where the server has gone in between.
func TestCloseHandsOver(t *testing.T) {
	for _, down := range []bool{false, true} {
		a, b := newPair(t)
		ref, open, handled := held(t)
		_, err := Expose(b, "x", ref, JSON[int]())
		require.NoError(t, err)
		for i := range 20 {
			require.NoError(t, To(a, "x", JSON[int]()).Tell(i))
		}
		arrived(t, a, b)
		if down {
			stopAndSee(t, a, b)
		}
		closed := make(chan error, 1)
		go func() { closed <- b.Close() }()
		open()
		require.NoError(t, <-closed)
		ref.Drain()
		_, err = ref.Ended().Await(limited(t))
		require.NoError(t, err)
		require.EqualValues(t, 20, handled.Load(), "down %v", down)
	}
}

// Actors that wait for an answer while they are told the last messages get it.
func TestAnswersDuringClose(t *testing.T) {
	a, b := newPair(t)
	system := newSystem(t)
	sink := spawn(t, system, actor.Props[int]{}, func(*actor.Context[int], int) error { return nil })
	_, err := Expose(a, "sink", sink, JSON[int]())
	require.NoError(t, err)
	gate := make(chan struct{})
	var acked atomic.Int64
	relay := spawn(t, system, actor.Props[int]{Mailbox: 1, Overflow: actor.Wait}, func(c *actor.Context[int], m int) error {
		<-gate
		if To(b, "sink", JSON[int]()).TellAcked(c.Context(), m) == nil {
			acked.Add(1)
		}
		return nil
	})
	_, err = Expose(b, "relay", relay, JSON[int]())
	require.NoError(t, err)
	for i := range 20 {
		require.NoError(t, To(a, "relay", JSON[int]()).Tell(i))
	}
	arrived(t, a, b)
	closed := make(chan error, 1)
	go func() { closed <- b.Close() }()
	close(gate)
	require.NoError(t, <-closed)
	relay.Drain()
	_, err = relay.Ended().Await(limited(t))
	require.NoError(t, err)
	require.GreaterOrEqual(t, acked.Load(), int64(18), "one is handled when the last has got its place in the mailbox")
}

// A Close while the connection is down tells of what was to be sent, and only of that.
func TestCloseDown(t *testing.T) {
	for _, told := range []bool{false, true} {
		a, b := newPair(t)
		ref, open, _ := held(t)
		open()
		_, err := Expose(b, "x", ref, JSON[int]())
		require.NoError(t, err)
		stopAndSee(t, a, b)
		if !told {
			require.NoError(t, b.Close())
			continue
		}
		require.NoError(t, To(b, "y", JSON[int]()).Tell(1))
		err = b.Close()
		require.ErrorIs(t, err, nats.ErrConnectionReconnecting)
		require.ErrorContains(t, err, "lost")
	}
}

// A Close that begins while the connection is down does so too when it comes back meanwhile.
func TestCloseBesideReconnect(t *testing.T) {
	a, err := Connect(Config{})
	require.NoError(t, err)
	var server redirect
	server.to(a)
	b, err := Connect(Config{URL: a.URL(), Options: []nats.Option{nats.SetCustomDialer(&server), nats.DrainTimeout(hang)}})
	require.NoError(t, err)
	ref, open, handled := held(t)
	_, err = Expose(b, "x", ref, JSON[int]())
	require.NoError(t, err)
	for i := range 20 {
		require.NoError(t, To(a, "x", JSON[int]()).Tell(i))
	}
	arrived(t, a, b)
	stopAndSee(t, a, b)
	closed := make(chan error, 1)
	go func() { closed <- b.Close() }()
	require.Eventually(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.exposed == nil }, hang, time.Millisecond)
	up := b.conn.StatusChanged(nats.CONNECTED)
	again, err := Connect(Config{})
	require.NoError(t, err)
	defer again.Close()
	server.to(again)
	<-up
	open()
	require.NoError(t, <-closed)
	ref.Drain()
	_, err = ref.Ended().Await(limited(t))
	require.NoError(t, err)
	require.EqualValues(t, 20, handled.Load())
}

// redirect connects to the server of the moment.
type redirect struct{ address atomic.Value }

func (r *redirect) to(n *Node) { r.address.Store(strings.TrimPrefix(n.URL(), "nats://")) }

func (r *redirect) Dial(network, _ string) (net.Conn, error) {
	return net.Dial(network, r.address.Load().(string))
}

// stopAndSee ends a, which has the server, and waits until b has seen that.
func stopAndSee(t *testing.T, a, b *Node) {
	down := b.conn.StatusChanged(nats.RECONNECTING)
	require.NoError(t, a.Close())
	select {
	case <-down:
	case <-time.After(hang):
		t.Fatal("the connection stays")
	}
}
