package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const hang = 30 * time.Second

func dial(t *testing.T, a net.Addr) (net.Conn, *bufio.Reader) {
	c, err := net.Dial(a.Network(), a.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(hang)))
	return c, bufio.NewReader(c)
}

// answered reads one answer.
func answered(t *testing.T, in *bufio.Reader, status int, body string) {
	res, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	got, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, status, res.StatusCode)
	require.Equal(t, body, string(got))
}

// The request whose body is under way at the end is answered, the connection that waits for one is closed, and then nothing is
// left.
func TestGraceful(t *testing.T) {
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			at, ended := make(chan net.Addr, 1), make(chan error, 1)
			go func() { ended <- run(ctx, way, "127.0.0.1:0", func(a net.Addr) { at <- a }) }()
			a := <-at
			idle, idleIn := dial(t, a)
			_, err := io.WriteString(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			answered(t, idleIn, http.StatusOK, "Hello, World!")
			busy, busyIn := dial(t, a)
			_, err = io.WriteString(busy, "POST /reverse HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
			require.NoError(t, err)
			line, err := busyIn.ReadString('\n') // so the server is at it
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(line, "HTTP/1.1 100 "), line)
			_, err = busyIn.ReadString('\n')
			require.NoError(t, err)
			_, err = io.WriteString(busy, "ab")
			require.NoError(t, err)
			cancel()
			_, err = idleIn.ReadByte()
			require.Equal(t, io.EOF, err)
			select {
			case err := <-ended:
				t.Fatal("it has not waited for a request:", err)
			default:
			}
			_, err = io.WriteString(busy, "cd")
			require.NoError(t, err)
			answered(t, busyIn, http.StatusOK, "dcba")
			_, err = busyIn.ReadByte()
			require.Equal(t, io.EOF, err)
			require.NoError(t, <-ended)
		})
	}
}
