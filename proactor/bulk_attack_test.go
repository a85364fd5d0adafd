//go:build linux

package proactor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
)

// stalling returns what holds a coroutine up until its worker is handed over, since another of it waits: to another thread as well,
// where what is in flight has to be armed anew. On goroutines, and on what has become one, it does nothing.
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

// attacks is what others do to a connection while somebody reads it, until over is closed.
func attacks(c *Conn, over <-chan struct{}) {
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

// mixed reads c in all ways there are, in sizes that keep changing the mode, until an error that ends it, and returns what came.
// direct counts the Reads that left c in the mode of bulk.
func mixed(c *Conn, seed int64, stall func()) (got []byte, direct int, err error) {
	r := rand.New(rand.NewSource(seed))
	b := make([]byte, 100_000)
	for i := 0; ; i++ {
		if i%16 == 8 {
			stall()
		}
		var n int
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
		got = append(got, b[:n]...)
		if c.locked(func() bool { return c.direct })() {
			direct++
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.Canceled) {
			return got, direct, err
		}
	}
}

// The stream arrives whole while its reader changes the mode, is held up so that its worker is handed over, and is disturbed from
// elsewhere. Where the connection is closed or shut in the midst of it, the reader learns that, and has a beginning of the stream.
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
				half := make(chan struct{})
				if end.do == nil {
					close(half)
				}
				beside.Go(func() { // may be cut short
					r := rand.New(rand.NewSource(seed))
					for p := stream; len(p) > 0; {
						if len(p) < size/2 {
							<-half // so that the end falls into the stream
						}
						n, err := peer.Write(p[:min(len(p), 1+r.Intn(70_000)>>r.Intn(12))])
						if p = p[n:]; err != nil {
							return
						}
					}
					_ = peer.(halfCloser).CloseWrite()
				})
				beside.Go(func() { attacks(c, over) })
				type result struct {
					got    []byte
					direct int
					err    error
				}
				done := make(chan result, 1)
				read := func() {
					got, d, err := mixed(c, seed, stall)
					done <- result{got, d, err}
				}
				if coroutine {
					require.NoError(t, e.Executor().Go(read))
				} else {
					go read()
				}
				if end.do != nil {
					eventually(t, "some of the stream", c.locked(func() bool { return c.received > size/8 || c.rerr() != nil }))
					require.NoError(t, end.do(c))
					close(half)
				}
				r := within(t, done)
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
