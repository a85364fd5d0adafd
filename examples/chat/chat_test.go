package main

import (
	"bufio"
	"context"
	"fmt"
	stdnet "net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/net"
)

const hang = 30 * time.Second

func start(t *testing.T, keep int) (*room, string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := newRoom(keep)
	done := make(chan error, 1)
	go func() { done <- r.serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(hang):
			t.Error("the server does not end")
		}
	})
	return r, l.Addr().String()
}

type client struct {
	stdnet.Conn
	lines *bufio.Scanner
}

func join(t *testing.T, addr, name string) client {
	c, err := stdnet.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	x := client{c, bufio.NewScanner(c)}
	x.say(t, name)
	require.Equal(t, "* "+name+" is here", x.hear(t))
	return x
}

func (c client) say(t *testing.T, s string) {
	require.NoError(t, c.SetDeadline(time.Now().Add(hang)))
	_, err := fmt.Fprintln(c, s)
	require.NoError(t, err)
}

func (c client) hear(t *testing.T) string {
	require.NoError(t, c.SetDeadline(time.Now().Add(hang)))
	require.True(t, c.lines.Scan(), "%v", c.lines.Err())
	return c.lines.Text()
}

func TestChat(t *testing.T) {
	_, addr := start(t, 64)
	ann := join(t, addr, "ann")
	bob := join(t, addr, "bob")
	require.Equal(t, "* bob is here", ann.hear(t))
	for i := range 100 {
		from, name := ann, "ann"
		if i%2 == 1 {
			from, name = bob, "bob"
		}
		from.say(t, fmt.Sprint("line ", i))
		for _, c := range []client{ann, bob} {
			require.Equal(t, fmt.Sprint(name, ": line ", i), c.hear(t))
		}
	}
	require.NoError(t, bob.Close())
	require.Equal(t, "* bob has left", ann.hear(t))
}

// A client that does not read holds nobody up, and learns how much it has missed.
func TestChatSlowClient(t *testing.T) {
	r, addr := start(t, 8)
	slow := join(t, addr, "slow")
	ann := join(t, addr, "ann")
	text := strings.Repeat("x", longestLine-100)
	const n = 5000 // more than the sockets hold
	for i := range n {
		ann.say(t, fmt.Sprint(i, " ", text))
		require.Equal(t, fmt.Sprint("ann: ", i, " ", text), ann.hear(t))
	}
	require.Equal(t, 2, r.lines.Receivers())
	require.Equal(t, "* ann is here", slow.hear(t))
	missed := false
	for next := 0; next < n; {
		line := slow.hear(t)
		var k int
		if _, err := fmt.Sscanf(line, "* you have missed %d lines", &k); err == nil {
			missed = true
			next += k
			continue
		}
		require.Equal(t, fmt.Sprint("ann: ", next, " ", text), line)
		next++
	}
	require.True(t, missed)
}
