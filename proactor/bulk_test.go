//go:build linux

package proactor

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// eager enters the mode of bulk at small Reads.
func eager(c Config) Config {
	c.bulk = bulk{size: 512, reads: 2}
	return c
}

// A reader that changes between large Reads, small ones and leases, in coroutines and goroutines, loses and doubles nothing
// at the changes between receiving ahead and directly, with pauses and deadlines falling into them.
func TestBulkChangesOfMode(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, eager(cfg))
		direct := 0
		for seed := range int64(4) {
			c, peer := pair(t, e)
			stream := bytesFrom(int(seed), 2<<20)
			over, beside := make(chan struct{}), sync.WaitGroup{}
			beside.Go(func() { disturb(c, over) })
			beside.Go(func() { pour(peer, stream, seed, nil) })
			var r reading
			read(t, e, seed%2 == 0, func() { r = mixed(c, seed, func() {}) })
			close(over)
			beside.Wait()
			require.ErrorIs(t, r.err, io.EOF)
			require.True(t, bytes.Equal(stream, r.got), "content differs")
			direct += r.direct
			require.NoError(t, c.Close())
		}
		require.Positive(t, direct, "no Read was direct")
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

// waitInBulk has a goroutine read c directly, and returns when it waits.
func waitInBulk(t *testing.T, c *Conn) (ended <-chan error, b []byte) {
	end, b := make(chan error, 1), make([]byte, 2000)
	go func() {
		_, err := c.Read(b)
		end <- err
	}()
	eventually(t, "the reader", c.locked(func() bool { return c.wait.reading && c.polled() }))
	return end, b
}

// A reader that never has to wait lets the others run, but not before its turn is over.
func TestBulkReaderSharesItsTurn(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		clock := newUnwatched() // else the monitor may let the other run
		cfg.Workers, cfg.clock = 1, clock
		e := newEngine(t, eager(cfg))
		t.Cleanup(func() { close(clock.over) })
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
		require.NoError(t, within(t, ended))
	})
}

// What ends a connection, or its Reads, while a reader gives way is met by the Read that gave way.
func TestBulkReaderMeetsTheEndOfItsTurn(t *testing.T) {
	for _, x := range []struct {
		name string
		by   func(*Conn) error
		want error
	}{
		{"close", (*Conn).Close, ErrClosed},
		{"deadline", func(c *Conn) error { return c.SetReadDeadline(time.Now()) }, os.ErrDeadlineExceeded},
	} {
		t.Run(x.name, func(t *testing.T) {
			onEachBackend(t, func(t *testing.T, cfg Config) {
				cfg.Workers = 1
				e := newEngine(t, eager(cfg))
				c, peer := bulkPair(t, e)
				_, err := peer.Write([]byte("there is something to read"))
				require.NoError(t, err)
				ended := make(chan error, 2)
				require.NoError(t, c.Start(func() {
					if err := c.loop.w.Go(func() { ended <- x.by(c) }); err != nil {
						ended <- err
					}
					c.wait.unbroken, c.wait.turnEnds = directStep, 1 // its turn is over
					_, err := c.Read(make([]byte, 2000))
					ended <- err
				}, nil, false))
				require.NoError(t, within(t, ended))
				require.ErrorIs(t, within(t, ended), x.want)
			})
		})
	}
}

// Whatever ends or interrupts a Read does so in the mode of bulk, too.
func TestBulkInterrupted(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, eager(cfg))
		t.Run("close", func(t *testing.T) {
			c, _ := bulkPair(t, e)
			ended, _ := waitInBulk(t, c)
			require.NoError(t, c.Close())
			require.ErrorIs(t, within(t, ended), ErrClosed)
		})
		t.Run("deadline", func(t *testing.T) {
			c, peer := bulkPair(t, e)
			ended, _ := waitInBulk(t, c)
			require.NoError(t, c.SetReadDeadline(time.Now()))
			require.ErrorIs(t, within(t, ended), os.ErrDeadlineExceeded)
			require.NoError(t, c.SetReadDeadline(time.Time{}))
			ended, _ = waitInBulk(t, c)
			_, err := peer.Write([]byte("x"))
			require.NoError(t, err)
			require.NoError(t, within(t, ended))
		})
		t.Run("end of file", func(t *testing.T) {
			c, peer := bulkPair(t, e)
			ended, _ := waitInBulk(t, c)
			require.NoError(t, peer.Close())
			require.ErrorIs(t, within(t, ended), io.EOF)
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

// A ReadLease switches the mode off while another waits in a direct Read, who goes on by what there is then.
func TestBulkLeaseBesideARead(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, eager(cfg))
		c, peer := bulkPair(t, e)
		ended, b := waitInBulk(t, c)
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
		eventually(t, "the second reader", c.locked(func() bool { return len(c.wait.readers) == 1 }))
		_, err := peer.Write([]byte("a"))
		require.NoError(t, err)
		// The first, which the change to leases meets in its wait, goes on by what there is then.
		select {
		case err := <-ended:
			require.NoError(t, err)
			require.Equal(t, byte('a'), b[0])
			_, err = peer.Write([]byte("b"))
			require.NoError(t, err)
			require.Equal(t, byte('b'), within(t, lease))
		case first := <-lease:
			require.Equal(t, byte('a'), first)
			_, err = peer.Write([]byte("b"))
			require.NoError(t, err)
			require.NoError(t, within(t, ended))
			require.Equal(t, byte('b'), b[0])
		}
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
