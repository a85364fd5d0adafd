//go:build linux

package integration

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/net"
)

// Both ends know each other by certificates; bytes go both ways at once, and a half-close arrives.
func TestTLS(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		ca := newAuthority(t)
		l := tls.NewListener(s.listen(t), ca.server(t))
		names := make(chan string, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				names <- err.Error()
				return
			}
			defer c.Close()
			tc := c.(*tls.Conn)
			if err := tc.Handshake(); err != nil {
				names <- err.Error()
				return
			}
			names <- tc.ConnectionState().PeerCertificates[0].Subject.CommonName
			_, _ = io.Copy(tc, tc)
			_ = tc.CloseWrite()
		}()
		raw, err := s.dial(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		c := tls.Client(raw, ca.client(t))
		defer c.Close()
		require.NoError(t, c.HandshakeContext(t.Context()))
		require.Equal(t, "client", <-names)

		body := pattern(4 << 20)
		go func() {
			_, _ = c.Write(body)
			_ = c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, got))
	})
}

// A stranger is refused, and a deadline during the handshake is a time-out.
func TestTLSRefusals(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		ca, other := newAuthority(t), newAuthority(t)
		l := s.listen(t)
		refused := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				err = tls.Server(c, ca.server(t)).Handshake()
				c.Close()
			}
			refused <- err
		}()
		raw, err := s.dial(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		stranger := ca.client(t)
		stranger.Certificates = other.client(t).Certificates
		c := tls.Client(raw, stranger)
		_, _ = c.Write([]byte("hello"))
		_, err = io.ReadAll(c)
		require.Error(t, err)
		require.ErrorContains(t, <-refused, "certificate")
		c.Close()

		raw, err = s.dial(t.Context(), "tcp", l.Addr().String()) // nobody answers
		require.NoError(t, err)
		defer raw.Close()
		require.NoError(t, raw.SetDeadline(time.Now().Add(20*time.Millisecond)))
		err = tls.Client(raw, ca.client(t)).Handshake()
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
	})
}
