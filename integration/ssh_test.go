//go:build linux

package integration

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/ouro-io/ouro/net"
)

func newSigner(t *testing.T) ssh.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	s, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	return s
}

// sshServer serves one connection: sessions whose command is echo, and forwarding to TCP addresses.
func sshServer(s stack, c net.Conn, config *ssh.ServerConfig) error {
	conn, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	go ssh.DiscardRequests(requests)
	for nc := range channels {
		switch nc.ChannelType() {
		case "session":
			ch, reqs, err := nc.Accept()
			if err != nil {
				return err
			}
			go func() {
				for r := range reqs {
					_ = r.Reply(r.Type == "exec", nil)
					if r.Type == "exec" {
						_, _ = io.Copy(ch, ch)
						_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{7}))
						_ = ch.Close()
					}
				}
			}()
		default:
			_ = nc.Reject(ssh.UnknownChannelType, "only sessions here")
		}
	}
	return nil
}

func TestSSH(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		host, user := newSigner(t), newSigner(t)
		config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), user.PublicKey().Marshal()) {
				return nil, fmt.Errorf("an unknown key")
			}
			return nil, nil
		}}
		config.AddHostKey(host)
		l := s.listen(t)
		served := make(chan error, 2)
		go func() {
			for range cap(served) {
				c, err := l.Accept()
				if err == nil {
					err = sshServer(s, c, config)
					c.Close()
				}
				served <- err
			}
		}()

		client := func(key ssh.Signer) (*ssh.Client, error) {
			raw, err := s.dial(t.Context(), "tcp", l.Addr().String())
			require.NoError(t, err)
			c, channels, requests, err := ssh.NewClientConn(raw, l.Addr().String(), &ssh.ClientConfig{
				User: "u", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.FixedHostKey(host.PublicKey()),
			})
			if err != nil {
				raw.Close()
				return nil, err
			}
			return ssh.NewClient(c, channels, requests), nil
		}
		c, err := client(user)
		require.NoError(t, err)
		body := pattern(1 << 20)
		session, err := c.NewSession()
		require.NoError(t, err)
		session.Stdin = bytes.NewReader(body)
		got, err := session.Output("echo")
		var exit *ssh.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, 7, exit.ExitStatus())
		require.True(t, bytes.Equal(body, got))
		require.NoError(t, c.Close())
		require.NoError(t, <-served)

		_, err = client(newSigner(t))
		require.ErrorContains(t, err, "unable to authenticate")
		require.Error(t, <-served)
	})
}
