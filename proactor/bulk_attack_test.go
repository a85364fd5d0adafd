//go:build linux

package proactor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
)

// stalling returns what holds a coroutine up until its worker is handed over, since another of it waits: to another thread
// as well, where what is in flight has to be armed anew. On goroutines, and on what has become one, it does nothing.
func stalling(t *testing.T, e *Engine) (stall func()) {
	c, peer := pair(t, e)
	go func() { // keeps the worker in demand
		b := make([]byte, 1)
		for {
			if _, err := peer.Write(b); err != nil {
				return
			}
			if _, err := io.ReadFull(peer, b); err != nil {
				return
			}
		}
	}()
	require.NoError(t, e.Executor().Go(func() {
		defer c.Close()
		_, _ = io.Copy(onlyWriter{c}, onlyReader{c})
	}))
	handOvers := func() uint64 { return e.Stats().Executor.HandOvers }
	return func() {
		co := executor.Current()
		if co == nil || co.Demoted() {
			return
		}
		n, most := handOvers(), hangs
		if n > 0 {
			most = 10 * time.Millisecond // it may have lost its worker already, and not waited since
		}
		for end := time.Now().Add(most); handOvers() == n && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
}

type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// disturb is what others do to a connection while somebody reads it, until over is closed.
func disturb(c *Conn, over <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-over:
			return
		case <-time.After(50 * time.Microsecond):
		}
		switch i % 4 {
		case 0:
			c.PauseRead()
			c.ResumeRead()
		case 1:
			_ = c.SetReadDeadline(time.Now())
			_ = c.SetReadDeadline(time.Time{})
		case 2:
			c.kick()
		case 3:
			_ = c.Control(func(int) error { return nil })
		}
	}
}

// pour writes p in pieces of changing size, and ends the stream; when half of p is left it waits for half, if there is one. It may be
// cut short.
func pour(w *net.TCPConn, p []byte, seed int64, half <-chan struct{}) {
	r := rand.New(rand.NewSource(seed))
	for size := len(p); len(p) > 0; {
		if len(p) < size/2 && half != nil {
			<-half
		}
		n, err := w.Write(p[:min(len(p), 1+r.Intn(70_000)>>r.Intn(12))])
		if p = p[n:]; err != nil {
			return
		}
	}
	_ = w.CloseWrite()
}

// read runs f, on a coroutine of e or a goroutine, and waits for its end.
func read(t *testing.T, e *Engine, coroutine bool, f func()) {
	done := make(chan bool, 1)
	run := func() { f(); done <- true }
	if coroutine {
		require.NoError(t, e.Executor().Go(run))
	} else {
		go run()
	}
	within(t, done)
}

// reading is what a reader got, in how many Reads that left the connection in the mode of bulk, and what ended it.
type reading struct {
	got    []byte
	direct int
	err    error
}

// mixed reads c in all ways there are, in sizes that keep changing the mode, until an error that ends it.
func mixed(c *Conn, seed int64, stall func()) (all reading) {
	r := rand.New(rand.NewSource(seed))
	b := make([]byte, 100_000)
	for i := 0; ; i++ {
		if i%16 == 8 {
			stall()
		}
		var n int
		var err error
		switch k := r.Intn(100); {
		case k < 2:
			l, lerr := c.ReadLease()
			if err = lerr; lerr == nil {
				n = copy(b, l.Bytes())
				l.Release()
			}
		case k < 20:
			ctx, cancel := context.WithCancel(context.Background())
			if k < 10 {
				go cancel()
			}
			n, err = c.ReadContext(ctx, b[:1+r.Intn(len(b))])
			cancel()
		case k < 55:
			n, err = c.Read(b[:1+r.Intn(300)])
		default:
			n, err = c.Read(b)
		}
		all.got = append(all.got, b[:n]...)
		if c.locked(func() bool { return c.direct })() {
			all.direct++
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.Canceled) {
			all.err = err
			return all
		}
	}
}

// The stream arrives whole while its reader changes the mode, is held up so that its worker is handed over, and is
// disturbed from elsewhere. Where the connection is closed or shut in the midst of it, the reader learns that, and has a
// beginning of the stream.
func TestBulkUnderAttack(t *testing.T) {
	const size = 1 << 20
	stream := bytesFrom(1, size)
	ends := map[string]struct {
		do   func(*Conn) error
		want error
	}{
		"whole":     {nil, io.EOF},
		"close":     {(*Conn).Close, ErrClosed},
		"closewait": {(*Conn).CloseWait, ErrClosed},
		"closeread": {(*Conn).CloseRead, io.EOF},
	}
	onEachBackend(t, func(t *testing.T, cfg Config) {
		cfg = eager(cfg)
		cfg.Workers = 1
		e := newEngine(t, cfg)
		stall := stalling(t, e)
		direct, seed := 0, int64(0)
		for name, end := range ends {
			for _, coroutine := range []bool{true, false} {
				seed++
				c, peer := pair(t, e)
				over := make(chan struct{})
				var beside sync.WaitGroup
				var half chan struct{} // so that the end falls into the stream
				if end.do != nil {
					half = make(chan struct{})
					beside.Go(func() {
						defer close(half)
						for end := time.Now().Add(hangs); !c.locked(func() bool { return c.received > size/8 || c.rerr() != nil })(); {
							if time.Sleep(time.Millisecond); time.Now().After(end) {
								t.Error("nothing of the stream arrives")
								return
							}
						}
						if err := end.do(c); err != nil {
							t.Error(err)
						}
					})
				}
				beside.Go(func() { pour(peer, stream, seed, half) })
				beside.Go(func() { disturb(c, over) })
				var r reading
				read(t, e, coroutine, func() { r = mixed(c, seed, stall) })
				direct += r.direct
				close(over)
				_ = peer.Close()
				beside.Wait()
				require.ErrorIs(t, r.err, end.want, name)
				require.True(t, bytes.HasPrefix(stream, r.got), "%s: what came is no beginning of the stream", name)
				if end.do == nil {
					require.Len(t, r.got, size)
				}
				_ = c.Close()
			}
		}
		require.Positive(t, direct, "no Read was direct")
		require.Positive(t, e.Stats().Executor.HandOvers, "no worker was handed over")
	})
}
