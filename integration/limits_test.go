//go:build linux

package integration

import (
	"bytes"
	"io"
	stdnet "net"
	"net/http"
	"net/rpc"
	"net/textproto"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"

	"github.com/ouro-io/ouro/net"
)

// What docs/dropin.md says of code that asks for the standard library's own types, and the ways round it.

// x/net/ipv4 sets options on our socket, but reads messages only from the standard library's type. The way round is a
// duplicate of the socket as that type.
func TestLimitIPv4Messages(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		c := s.packetConn(t)
		require.NoError(t, ipv4.NewPacketConn(c).SetTTL(7))
		ttl, err := ipv4.NewPacketConn(c).TTL()
		require.NoError(t, err)
		require.Equal(t, 7, ttl)
		_, _, _, err = ipv4.NewPacketConn(c).ReadFrom(make([]byte, 10))
		require.Error(t, err, "if this works now, docs/dropin.md can lose a line")

		f, err := c.File()
		require.NoError(t, err)
		std, err := stdnet.FilePacketConn(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		defer std.Close()
		p := ipv4.NewPacketConn(std)
		require.NoError(t, p.SetControlMessage(ipv4.FlagDst, true))
		_, err = c.WriteTo([]byte("to itself"), c.LocalAddr())
		require.NoError(t, err)
		b := make([]byte, 100)
		n, m, _, err := p.ReadFrom(b)
		require.NoError(t, err)
		require.Equal(t, "to itself", string(b[:n]))
		require.Equal(t, "127.0.0.1", m.Dst.String())
	})
}

// os.File copies from any of our connections, by splice or by hand.
func TestLimitFileReadFrom(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		l := s.listen(t)
		body := pattern(3 << 20)
		go func() {
			if c, err := l.Accept(); err == nil {
				_, _ = c.Write(body)
				c.Close()
			}
		}()
		c, err := s.dial(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		f, err := os.Create(t.TempDir() + "/to")
		require.NoError(t, err)
		defer f.Close()
		n, err := f.ReadFrom(c)
		require.NoError(t, err)
		require.Equal(t, int64(len(body)), n)
		got, err := os.ReadFile(f.Name())
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, got))
	})
}

// Packages that dial or listen by themselves have a way in for a connection or a listener made elsewhere.
func TestLimitOwnDialers(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		l := s.listen(t)
		srv := rpc.NewServer()
		require.NoError(t, srv.Register(new(Shout)))
		go func() {
			for range 2 {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					b := make([]byte, 1)
					if _, err := io.ReadFull(c, b); err != nil {
						c.Close()
						return
					}
					if b[0] == 'T' {
						_, _ = c.Write([]byte("200 hello\r\n"))
						c.Close()
						return
					}
					srv.ServeConn(c)
				}()
			}
		}()
		dial := func(hello string) net.Conn {
			c, err := s.dial(t.Context(), "tcp", l.Addr().String())
			require.NoError(t, err)
			_, err = c.Write([]byte(hello))
			require.NoError(t, err)
			return c
		}
		tc := textproto.NewConn(dial("T"))
		defer tc.Close()
		_, message, err := tc.ReadResponse(http.StatusOK)
		require.NoError(t, err)
		require.Equal(t, "hello", message)

		rc := rpc.NewClient(dial("R"))
		defer rc.Close()
		var answer string
		require.NoError(t, rc.Call("Shout.Loud", "abc", &answer))
		require.Equal(t, "ABC", answer)
	})
}

// Shout is a service of net/rpc.
type Shout struct{}

// Loud answers in capitals.
func (*Shout) Loud(in string, out *string) error {
	*out = string(bytes.ToUpper([]byte(in)))
	return nil
}
