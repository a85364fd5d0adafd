//go:build linux

package proactor

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// deadlines runs f on a coroutine and on an ordinary goroutine, with a connection and its peer.
func deadlines(t *testing.T, f func(t *testing.T, e *Engine, c *Conn, peer io.ReadWriteCloser, do func(func()) <-chan bool)) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		for _, goroutine := range []bool{false, true} {
			t.Run(map[bool]string{false: "coroutine", true: "goroutine"}[goroutine], func(t *testing.T) {
				e := newEngine(t, cfg)
				c, peer := pair(t, e)
				f(t, e, c, peer, func(run func()) <-chan bool {
					done := make(chan bool, 1)
					require.NoError(t, c.Start(run, func(error) { done <- true }, goroutine))
					return done
				})
			})
		}
	})
}

var past, far = time.Unix(1, 0), 10 * time.Minute

// A deadline in the past ends what begins, and what waits already; taken back, all goes on and nothing is lost.
func TestDeadlineInThePast(t *testing.T) {
	deadlines(t, func(t *testing.T, e *Engine, c *Conn, peer io.ReadWriteCloser, do func(func()) <-chan bool) {
		var n int
		var err error
		p := make([]byte, 10)
		read := func() { n, err = c.Read(p) }
		_, _ = peer.Write([]byte("there"))
		require.NoError(t, c.SetReadDeadline(past))
		within(t, do(read))
		require.Equal(t, os.ErrDeadlineExceeded, err)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		within(t, do(read))
		require.NoError(t, err)
		require.Equal(t, "there", string(p[:n]))

		waiting := func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.wait != nil && c.wait.reading
		}
		for _, first := range []time.Time{{}, time.Now().Add(far)} {
			require.NoError(t, c.SetReadDeadline(first))
			done := do(read)
			eventually(t, "the wait", waiting)
			require.NoError(t, c.SetReadDeadline(time.Now().Add(far))) // reset while it waits
			require.NoError(t, c.SetReadDeadline(past))
			within(t, done)
			require.Equal(t, os.ErrDeadlineExceeded, err)
		}
		require.NoError(t, c.SetReadDeadline(time.Now().Add(far)))
		done := do(read)
		eventually(t, "the wait", waiting)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		_, _ = peer.Write([]byte("later"))
		within(t, done)
		require.NoError(t, err)
		require.Equal(t, "later", string(p[:n]))
	})
}

// A Write that the peer does not take ends at its deadline, and says exactly how much has gone.
func TestWriteDeadlineCountsExactly(t *testing.T) {
	deadlines(t, func(t *testing.T, e *Engine, c *Conn, peer io.ReadWriteCloser, do func(func()) <-chan bool) {
		data := bytesFrom(7, 32<<20)
		var n int
		var err error
		done := do(func() { n, err = c.Write(data) })
		eventually(t, "the wait", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.wait != nil && c.wait.writeWaits
		})
		require.NoError(t, c.SetWriteDeadline(past))
		within(t, done)
		require.Equal(t, os.ErrDeadlineExceeded, err)
		require.Less(t, n, len(data))
		var got []byte
		all := make(chan bool)
		go func() {
			got, _ = io.ReadAll(peer)
			close(all)
		}()
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		var m int
		within(t, do(func() { m, err = c.Write(data[n:]) }))
		require.NoError(t, err)
		require.Equal(t, len(data), n+m)
		require.NoError(t, c.Close())
		<-all
		require.True(t, bytes.Equal(data, got))
	})
}

// The deadline passes while bytes arrive: each Read brings bytes or the deadline's error, never both and never neither, and
// none are lost.
func TestDeadlineRacesData(t *testing.T) {
	deadlines(t, func(t *testing.T, e *Engine, c *Conn, peer io.ReadWriteCloser, do func(func()) <-chan bool) {
		const rounds = 300
		var got []byte
		expired := 0
		done := do(func() {
			p := make([]byte, 64)
			for len(got) < rounds {
				n, err := c.Read(p)
				switch {
				case n > 0 && err == nil:
					got = append(got, p[:n]...)
				case n == 0 && err == os.ErrDeadlineExceeded:
					expired++
					_ = c.SetReadDeadline(time.Time{})
				default:
					t.Errorf("Read returned %d, %v", n, err)
					return
				}
			}
		})
		want := bytesFrom(11, rounds)
		for i := range want {
			go func() { _ = c.SetReadDeadline(past) }()
			_, err := peer.Write(want[i : i+1])
			require.NoError(t, err)
		}
		within(t, done)
		require.Equal(t, want, got)
	})
}
