package main

import (
	"bufio"
	"context"
	"fmt"
	stdnet "net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/net"
)

const hang = 30 * time.Second

// Urgent requests go first, and yet the others have their turn.
func TestOrder(t *testing.T) {
	const n = 100
	var order []string
	r := newRouter(n, func(text string) string { order = append(order, text); return text })
	for i := range n {
		for _, class := range []string{"bulk", "normal", "urgent"} {
			reply := r.submit(fmt.Sprint(class, " ", class, i))
			_, err := reply.TryRecv()
			require.Error(t, err, "answered before anybody works")
		}
	}
	v, ok := r.submit("bulk one too many").Recv()
	require.True(t, ok)
	require.Contains(t, v, "busy")
	v, _ = r.submit("odd request").Recv()
	require.Contains(t, v, "what is odd")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	work := r.work
	left := 3 * n
	r.work = func(text string) string {
		if left--; left == 0 {
			cancel()
		}
		return work(text)
	}
	go func() { done <- r.answer(ctx) }()
	require.NoError(t, <-done)
	require.Len(t, order, 3*n)
	urgent, other := 0, 0
	for i, text := range order[:n] {
		if text[0] == 'u' {
			urgent++
			continue
		}
		other++
		require.Zero(t, (i+1)%fairEvery, "request %d went before an urgent one", i)
	}
	require.Positive(t, urgent)
	require.LessOrEqual(t, other, n/fairEvery)
}

func TestRouterOverTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r := newRouter(64, func(text string) string { return "re: " + text })
	go func() { done <- r.serve(ctx, l, 2) }()
	c, err := stdnet.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(hang)))
	lines := bufio.NewScanner(c)
	const n = 50
	for i := range n {
		_, err := fmt.Fprintf(c, "%s %d\n", classes[i%3], i)
		require.NoError(t, err)
	}
	for i := range n {
		require.True(t, lines.Scan())
		require.Equal(t, fmt.Sprint("re: ", i), lines.Text())
	}
	cancel()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(hang):
		t.Fatal("the server does not end")
	}
}
