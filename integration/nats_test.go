//go:build linux

package integration

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/net"
)

// natsDialer is the client's way out.
type natsDialer struct {
	t *testing.T
	s stack
}

func (d natsDialer) Dial(network, address string) (net.Conn, error) {
	return d.s.dial(d.t.Context(), network, address)
}

// A server in this process gets its clients from our listener, and clients dial by our dialer: publishing, queue groups,
// requests and a client that comes back after its connection was cut.
func TestNATS(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		srv, err := server.NewServer(&server.Options{DontListen: true, NoLog: true, NoSigs: true})
		require.NoError(t, err)
		srv.Start()
		defer func() {
			srv.Shutdown()
			srv.WaitForShutdown()
		}()
		require.True(t, srv.ReadyForConnections(10*time.Second))
		front := &natsFront{l: s.listen(t), srv: srv}
		var running sync.WaitGroup
		running.Go(front.run)
		defer running.Wait()
		defer front.l.Close()
		defer front.cut()

		connect := func(opts ...nats.Option) *nats.Conn {
			c, err := nats.Connect("nats://"+front.l.Addr().String(),
				append(opts, nats.SetCustomDialer(natsDialer{t, s}), nats.ReconnectWait(10*time.Millisecond))...)
			require.NoError(t, err)
			t.Cleanup(c.Close)
			return c
		}
		back := make(chan struct{}, 1)
		pub, sub := connect(), connect(nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))

		var seen atomic.Int64
		for range 2 { // each message goes to one of the group
			_, err := sub.QueueSubscribe("work", "group", func(*nats.Msg) { seen.Add(1) })
			require.NoError(t, err)
		}
		_, err = sub.Subscribe("upper", func(m *nats.Msg) { _ = m.Respond(append([]byte("re: "), m.Data...)) })
		require.NoError(t, err)
		require.NoError(t, sub.Flush())

		const messages = 2000
		for i := range messages {
			require.NoError(t, pub.Publish("work", pattern(i%500)))
		}
		require.NoError(t, pub.Flush())
		require.Eventually(t, func() bool { return seen.Load() == messages }, 20*time.Second, time.Millisecond)

		request := func(i int) {
			m, err := pub.Request("upper", fmt.Append(nil, i), 20*time.Second)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint("re: ", i), string(m.Data))
		}
		for i := range 100 {
			request(i)
		}
		front.cut()
		<-back
		require.NoError(t, sub.FlushTimeout(20*time.Second))
		require.NoError(t, pub.FlushTimeout(20*time.Second))
		request(101)
	})
}

// natsFront accepts for a server that does not listen.
type natsFront struct {
	l   net.Listener
	srv *server.Server

	mu    sync.Mutex
	conns []net.Conn
}

func (f *natsFront) run() {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		c, err := f.l.Accept()
		if err != nil {
			return
		}
		in, err := f.srv.InProcessConn()
		if err != nil {
			c.Close()
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, c, in)
		f.mu.Unlock()
		join := func(a, b net.Conn) {
			_, _ = io.Copy(a, b)
			a.Close()
			b.Close()
		}
		all.Go(func() { join(c, in) })
		all.Go(func() { join(in, c) })
	}
}

// cut closes all connections.
func (f *natsFront) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
	f.conns = nil
}
