package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every way gives the same answers, to several clients at once, and ends when it is told to.
func TestWays(t *testing.T) {
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			at, ended := make(chan net.Addr, 1), make(chan error, 1)
			go func() { ended <- run(ctx, way, "127.0.0.1:0", func(a net.Addr) { at <- a }) }()
			base := "http://" + (<-at).String()
			transport := &http.Transport{}
			c := &http.Client{Transport: transport}

			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range 20 {
						check(t, c, "GET", base+"/", "", http.StatusOK, "Hello, World!")
						check(t, c, "POST", base+"/reverse", "abc", http.StatusOK, "cba")
						check(t, c, "GET", base+"/reverse", "", http.StatusMethodNotAllowed, "method not allowed\n")
						check(t, c, "GET", base+"/other", "", http.StatusNotFound, "not found\n")
					}
				})
			}
			all.Wait()
			check(t, c, "POST", base+"/reverse", strings.Repeat("x", limit+1), http.StatusRequestEntityTooLarge, "")
			transport.CloseIdleConnections()
			cancel()
			require.NoError(t, <-ended)
		})
	}
}

func check(t *testing.T, c *http.Client, method, url, body string, status int, want string) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	res, err := c.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status || want != "" && string(got) != want {
		t.Errorf("%s %s: %d %q, error %v", method, url, res.StatusCode, got, err)
	}
}

func TestUnknownWay(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), "fast", "127.0.0.1:0", nil), "fasthttp-serve")
}
