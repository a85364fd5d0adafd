package echo

import (
	"bytes"
	"io"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/exampletest"

	// The examples are built by the go command. With these the test's cached result ends when the engine changes.
	_ "github.com/ouro-io/ouro/net"
	_ "github.com/ouro-io/ouro/proactor"
)

// TestExamples builds and runs each example as a user would, on each backend, and talks to it.
func TestExamples(t *testing.T) {
	bin := exampletest.Build(t)
	for _, face := range []string{"serve", "leases", "callbacks", "goroutines"} {
		_, err := os.ReadFile(filepath.Join(face, "main.go")) // and with this, when the example changes
		require.NoError(t, err)
		for _, backend := range []string{"auto", "epoll"} {
			t.Run(face+" "+backend, func(t *testing.T) {
				exchange(t, exampletest.Start(t, backend, filepath.Join(bin, face), "-addr", "127.0.0.1:0"))
			})
		}
	}
}

// exchange sends on several connections at the same time and expects to have it back.
func exchange(t *testing.T, addr string) {
	const conns, bytesEach = 8, 256 << 10
	errs := make(chan error, conns)
	for i := range conns {
		go func() { errs <- echoed(addr, int64(i), bytesEach) }()
	}
	for range conns {
		require.NoError(t, <-errs)
	}
}

func echoed(addr string, seed int64, n int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil { // against hanging only
		return err
	}
	sent := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(sent)
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		written <- err
	}()
	got := make([]byte, n)
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return io.ErrUnexpectedEOF
	}
	return <-written
}
