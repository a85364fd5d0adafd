//go:build linux

package main

import (
	"io"
	"math/rand"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/denytest"
	ouro "github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// TestProxy passes a request and a longer answer on, with half-close, on each backend.
func TestProxy(t *testing.T) {
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer upstream.Close()
	go func() {
		for {
			c, err := upstream.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				got, err := io.ReadAll(c) // to the end of the stream, which has to come through
				if err == nil {
					_, _ = c.Write(append(got, got...))
				}
			}()
		}
	}()
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			if err := denytest.NoRing(); b == proactor.IOUring && err != nil {
				t.Skip(err)
			}
			e, err := proactor.New(proactor.Config{Backend: b})
			require.NoError(t, err)
			s := ouro.On(e)
			l, err := s.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			served := make(chan error, 1)
			go func() {
				served <- s.Serve(l, func(c ouro.Conn) { pass(c.(*ouro.TCPConn), upstream.Addr().String()) })
			}()
			errs := make(chan error, 8)
			for i := range cap(errs) {
				go func() { errs <- doubled(l.Addr().String(), int64(i)) }()
			}
			for range cap(errs) {
				require.NoError(t, <-errs)
			}
			require.NoError(t, l.Close())
			require.Error(t, <-served)
			require.NoError(t, e.Shutdown(t.Context()))
		})
	}
}

func doubled(addr string, seed int64) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil { // against hanging only
		return err
	}
	sent := make([]byte, 1<<20)
	rand.New(rand.NewSource(seed)).Read(sent)
	if _, err := c.Write(sent); err != nil {
		return err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(c)
	if err == nil && string(got) != string(sent)+string(sent) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
