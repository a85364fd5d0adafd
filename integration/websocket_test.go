//go:build linux

package integration

import (
	"net/http"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

func TestWebSocket(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		l := s.listen(t)
		serveHTTP(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			c.SetReadLimit(1 << 20)
			for {
				kind, b, err := c.Read(r.Context())
				if err != nil {
					return
				}
				if err := c.Write(r.Context(), kind, b); err != nil {
					return
				}
			}
		}), nil)
		hc := client(t, s, nil)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				c, _, err := websocket.Dial(t.Context(), "ws://"+l.Addr().String(), &websocket.DialOptions{HTTPClient: &http.Client{Transport: hc.Transport}})
				if err != nil {
					t.Error(err)
					return
				}
				defer c.CloseNow()
				c.SetReadLimit(1 << 20)
				for i := range 50 {
					body := pattern(i * 1000)
					if err := c.Write(t.Context(), websocket.MessageBinary, body); err != nil {
						t.Error(err)
						return
					}
					_, got, err := c.Read(t.Context())
					if err != nil || string(got) != string(body) {
						t.Errorf("message %d: %d bytes came back, error %v", i, len(got), err)
						return
					}
				}
				if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.False(t, t.Failed())
	})
}
