package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	stdnet "net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/net"
)

const hang = 30 * time.Second

func start(t *testing.T, s server) (l net.Listener, stop func() error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, l) }()
	t.Cleanup(cancel)
	return l, func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(hang):
			t.Fatal("the server does not end")
			return nil
		}
	}
}

func dial(t *testing.T, l net.Listener) (stdnet.Conn, *bufio.Reader) {
	c, err := stdnet.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(hang)))
	return c, bufio.NewReader(c)
}

// The request that is under way is answered, the connection that waits for one is closed, and nobody new gets in.
func TestGraceful(t *testing.T) {
	begun := make(chan struct{}, 10)
	l, stop := start(t, server{work: 300 * time.Millisecond, grace: hang, conns: 10, begin: func() { begun <- struct{}{} }})
	idle, idleIn := dial(t, l)
	_, err := fmt.Fprintln(idle, "first")
	require.NoError(t, err)
	line, err := idleIn.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "first\n", line)
	<-begun
	busy, busyIn := dial(t, l)
	_, err = fmt.Fprintln(busy, "second")
	require.NoError(t, err)
	<-begun
	require.NoError(t, stop())
	line, err = busyIn.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "second\n", line)
	for _, in := range []*bufio.Reader{idleIn, busyIn} {
		_, err = in.ReadByte()
		require.Equal(t, io.EOF, err)
	}
	_, err = l.Accept() // to dial would be no test: its address may be another program's by now
	require.ErrorIs(t, err, net.ErrClosed)
}

// A request that takes longer than the time of grace holds nothing up.
func TestGraceOver(t *testing.T) {
	begun := make(chan struct{}, 1)
	l, stop := start(t, server{work: 24 * time.Hour, grace: 10 * time.Millisecond, conns: 10, begin: func() { begun <- struct{}{} }})
	c, in := dial(t, l)
	_, err := fmt.Fprintln(c, "x")
	require.NoError(t, err)
	<-begun
	require.NoError(t, stop())
	_, err = in.ReadByte()
	require.Error(t, err)
}

// A connection beyond the limit is served when another has ended.
func TestLimit(t *testing.T) {
	l, stop := start(t, server{grace: hang, conns: 1})
	first, firstIn := dial(t, l)
	_, err := fmt.Fprintln(first, "a")
	require.NoError(t, err)
	_, err = firstIn.ReadString('\n')
	require.NoError(t, err)
	second, secondIn := dial(t, l)
	_, err = fmt.Fprintln(second, "b")
	require.NoError(t, err)
	require.NoError(t, first.Close())
	line, err := secondIn.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "b\n", line)
	require.NoError(t, stop())
}
