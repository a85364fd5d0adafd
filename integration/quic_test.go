//go:build linux

package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/net"
)

// packetConn is a UDP socket of the stack, as quic-go wants it.
func (s stack) packetConn(t *testing.T) *net.UDPConn {
	c, err := s.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*net.UDPConn)
}

// QUIC over our packet sockets: many streams at once, a large one, and the idle time-out. quic-go takes our socket for one
// that can do everything (GSO, ECN), which it finds by interface.
func TestQUIC(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		ca := newAuthority(t)
		config := func(c *tls.Config) *tls.Config { c.NextProtos = []string{"echo"}; return c }
		socket := s.packetConn(t)
		var _ quic.OOBCapablePacketConn = socket
		server := &quic.Transport{Conn: socket}
		defer server.Close()
		l, err := server.Listen(config(ca.server(t)), nil)
		require.NoError(t, err)
		defer l.Close()
		var serving sync.WaitGroup
		defer serving.Wait()
		serving.Go(func() { serveQUIC(l, &serving) })

		client := &quic.Transport{Conn: s.packetConn(t)}
		defer client.Close()
		c, err := client.Dial(t.Context(), l.Addr(), config(ca.client(t)), &quic.Config{MaxIdleTimeout: 20 * time.Second})
		require.NoError(t, err)
		t.Run("streams", func(t *testing.T) {
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					if err := echoStream(t.Context(), c, pattern(2000*i)); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
		t.Run("large", func(t *testing.T) { require.NoError(t, echoStream(t.Context(), c, pattern(8<<20))) })
		require.NoError(t, c.CloseWithError(0, "done"))
		require.NoError(t, l.Close())
	})
}

func serveQUIC(l *quic.Listener, serving *sync.WaitGroup) {
	for {
		c, err := l.Accept(context.Background())
		if err != nil {
			return
		}
		serving.Go(func() {
			for {
				s, err := c.AcceptStream(context.Background())
				if err != nil {
					return
				}
				serving.Go(func() {
					_, _ = io.Copy(s, s)
					_ = s.Close()
				})
			}
		})
	}
}

func echoStream(ctx context.Context, c *quic.Conn, body []byte) error {
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	go func() {
		_, _ = s.Write(body)
		_ = s.Close()
	}()
	got, err := io.ReadAll(s)
	if err == nil && !bytes.Equal(got, body) {
		err = errors.New("other bytes came back")
	}
	return err
}
