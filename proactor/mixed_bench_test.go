//go:build linux

package proactor

import (
	"context"
	"testing"
	"time"

	"github.com/ouro-io/ouro/buffers"
)

// A client in the runtime's poller, in the same process as the engine that serves it.
func BenchmarkStdClientBeside(b *testing.B) {
	for _, k := range []Backend{IOUring, Epoll} {
		b.Run(k.String(), func(b *testing.B) {
			e, err := New(Config{Backend: k})
			if err != nil {
				b.Skip(err)
			}
			b.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				if err := e.Shutdown(ctx); err != nil {
					b.Error(err)
				}
			})
			l := listen(b)
			_, err = e.Serve(l, Handler{OnData: func(c *Conn, l buffers.Lease) { _ = c.Send(l) }})
			if err != nil {
				b.Fatal(err)
			}
			c := dial(b, l)
			msg := make([]byte, 64)
			for b.Loop() {
				echoOnce(b, c, msg)
			}
		})
	}
}
