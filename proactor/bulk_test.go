//go:build linux

package proactor

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
)

// eager enters the mode of bulk at small Reads.
func eager(c Config) Config {
	c.bulk = bulk{size: 512, reads: 2}
	return c
}

type halfCloser interface {
	io.Writer
	CloseWrite() error
}

// flood writes n bytes of a known sequence in pieces of changing size, then ends its side. The sum is that of what was written.
func flood(t *testing.T, w halfCloser, seed int64, n int) <-chan [32]byte {
	sum := make(chan [32]byte, 1)
	go func() {
		r, h := rand.New(rand.NewSource(seed)), sha256.New()
		for b := make([]byte, 70_000); n > 0; {
			p := b[:min(n, 1+r.Intn(len(b))>>r.Intn(12))]
			r.Read(p)
			h.Write(p)
			if _, err := w.Write(p); err != nil {
				t.Error(err)
				break
			}
			n -= len(p)
		}
		if err := w.CloseWrite(); err != nil {
			t.Error(err)
		}
		sum <- [32]byte(h.Sum(nil))
	}()
	return sum
}

// A reader that changes between large Reads, small ones and leases, in coroutines and goroutines, loses and doubles nothing at the
// changes between receiving ahead and directly, with pauses and deadlines falling into them.
func TestBulkChangesOfMode(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, eager(cfg))
		all := 0
		for seed := range int64(4) {
			c, peer := pair(t, e)
			sum := flood(t, peer.(halfCloser), seed, 2<<20)
			stop, done := make(chan struct{}), sync.WaitGroup{}
			done.Go(func() { // beside the reader
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(200 * time.Microsecond):
					}
					switch i % 3 {
					case 0:
						c.PauseRead()
						c.ResumeRead()
					case 1:
						_ = c.SetReadDeadline(time.Now())
						_ = c.SetReadDeadline(time.Time{})
					}
				}
			})
			got := make(chan [32]byte, 1)
			var changes int
			read := func() {
				h, mode := sha256.New(), false
				r := rand.New(rand.NewSource(seed))
				for b := make([]byte, 100_000); ; {
					var n int
					var err error
					var l buffers.Lease
					switch {
					case r.Intn(100) == 0:
						if l, err = c.ReadLease(); err == nil {
							h.Write(l.Bytes())
							l.Release()
						}
					case r.Intn(40) < 20:
						n, err = c.Read(b[:1+r.Intn(300)])
					default:
						n, err = c.Read(b)
					}
					h.Write(b[:n])
					if m := c.locked(func() bool { return c.direct })(); m != mode {
						mode = m
						changes++
					}
					if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
						if err != io.EOF {
							t.Error(err)
						}
						break
					}
				}
				got <- [32]byte(h.Sum(nil))
			}
			if seed%2 == 0 {
				require.NoError(t, e.Executor().Go(read))
			} else {
				go read()
			}
			require.Equal(t, <-sum, await(t, got, "the end of the stream"))
			close(stop)
			done.Wait()
			all += changes
			require.NoError(t, c.Close())
		}
		require.Positive(t, all, "no Read was direct")
	})
}

// inBulk brings c into the mode, with nothing left to read.
func inBulk(t *testing.T, c *Conn, peer io.Writer) {
	for range 20 {
		p := make([]byte, 1000)
		_, err := peer.Write(p)
		require.NoError(t, err)
		_, err = io.ReadFull(c, p)
		require.NoError(t, err)
	}
	require.True(t, c.locked(func() bool { return c.direct && c.wait.passing && !c.recvOn && c.inbox.len() == 0 })())
}

// bulkPair is a connection in the mode, and its peer.
func bulkPair(t *testing.T, e *Engine) (*Conn, net.Conn) {
	c, peer := pair(t, e)
	inBulk(t, c, peer)
	return c, peer
}

// A reader that never has to wait lets the others run, but not before its turn is over.
func TestBulkReaderSharesItsTurn(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, eager(cfg))
		c, _ := bulkPair(t, e)
		ended := make(chan error, 1)
		read := func(n int) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.wait.unbroken += n
			c.shareTurn()
		}
		require.NoError(t, c.Start(func() {
			ran := false
			if err := c.loop.w.Go(func() { ran = true }); err != nil {
				ended <- err
				return
			}
			read(directStep - 1 - c.wait.unbroken)
			read(1) // the first look at the clock
			begins := c.wait.turnEnds != 0 && !ran
			read(directStep - 1)
			c.wait.turnEnds = 1 // long ago
			tooEarly := ran
			read(1)
			if !begins || tooEarly || !ran || c.wait.turnEnds != 0 {
				ended <- fmt.Errorf("a turn began: %v; the other ran too early: %v, at its end: %v", begins, tooEarly, ran)
				return
			}
			ended <- nil
		}, nil, false))
		require.NoError(t, await(t, ended, "the reader"))
	})
}

// Whatever ends or interrupts a Read does so in the mode of bulk, too.
func TestBulkInterrupted(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, eager(cfg))
		waiting := func(c *Conn) (<-chan error, []byte) {
			ended, b := make(chan error, 1), make([]byte, 2000)
			go func() {
				_, err := c.Read(b)
				ended <- err
			}()
			until(t, c.locked(func() bool { return c.wait.reading && c.polled() }), "the reader")
			return ended, b
		}
		t.Run("close", func(t *testing.T) {
			c, _ := bulkPair(t, e)
			ended, _ := waiting(c)
			require.NoError(t, c.Close())
			require.ErrorIs(t, await(t, ended, "the end"), ErrClosed)
		})
		t.Run("deadline", func(t *testing.T) {
			c, peer := bulkPair(t, e)
			ended, _ := waiting(c)
			require.NoError(t, c.SetReadDeadline(time.Now()))
			require.ErrorIs(t, await(t, ended, "the end"), os.ErrDeadlineExceeded)
			require.NoError(t, c.SetReadDeadline(time.Time{}))
			ended, _ = waiting(c)
			_, err := peer.Write([]byte("x"))
			require.NoError(t, err)
			require.NoError(t, await(t, ended, "what came"))
		})
		t.Run("end of file", func(t *testing.T) {
			c, peer := bulkPair(t, e)
			ended, _ := waiting(c)
			require.NoError(t, peer.Close())
			require.ErrorIs(t, await(t, ended, "the end"), io.EOF)
			_, err := c.ReadLease()
			require.ErrorIs(t, err, io.EOF)
		})
		t.Run("pause", func(t *testing.T) {
			c, peer := bulkPair(t, e)
			c.PauseRead()
			_, err := peer.Write([]byte("x"))
			require.NoError(t, err)
			require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
			_, err = c.Read(make([]byte, 2000))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, c.SetReadDeadline(time.Time{}))
			c.ResumeRead()
			n, err := c.Read(make([]byte, 2000))
			require.NoError(t, err)
			require.Equal(t, 1, n)
		})
		t.Run("a lease while another reads directly", func(t *testing.T) {
			c, peer := bulkPair(t, e)
			ended, b := waiting(c)
			lease := make(chan byte, 1)
			go func() {
				l, err := c.ReadLease()
				if err != nil {
					t.Error(err)
					lease <- 0
					return
				}
				lease <- l.Bytes()[0]
				l.Release()
			}()
			until(t, c.locked(func() bool { return len(c.wait.readers) == 1 }), "the second reader")
			_, err := peer.Write([]byte("a"))
			require.NoError(t, err)
			// The first, which the change to leases meets in its wait, goes on by what there is then.
			select {
			case err := <-ended:
				require.NoError(t, err)
				require.Equal(t, byte('a'), b[0])
				_, err = peer.Write([]byte("b"))
				require.NoError(t, err)
				require.Equal(t, byte('b'), await(t, lease, "the lease"))
			case first := <-lease:
				require.Equal(t, byte('a'), first)
				_, err = peer.Write([]byte("b"))
				require.NoError(t, err)
				require.NoError(t, await(t, ended, "the read"))
				require.Equal(t, byte('b'), b[0])
			}
		})
		t.Run("for good", func(t *testing.T) {
			c, peer := bulkPair(t, e)
			c.NoReadAhead()
			for range 10 {
				_, err := peer.Write([]byte("x"))
				require.NoError(t, err)
				_, err = c.Read(make([]byte, 1))
				require.NoError(t, err)
			}
			require.True(t, c.locked(func() bool { return c.direct && !c.wait.passing })())
		})
	})
}

// Small messages bring the reader back, and never into the mode.
func TestBulkLeft(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, eager(cfg))
		c, peer := bulkPair(t, e)
		for range 4 {
			_, err := peer.Write([]byte("x"))
			require.NoError(t, err)
			_, err = c.Read(make([]byte, 2000))
			require.NoError(t, err)
		}
		require.False(t, c.locked(func() bool { return c.direct || c.wait.passing || c.wait.score != 0 })())
	})
}
