//go:build linux

package net

import (
	"crypto/sha256"
	"errors"
	"io"
	"math/rand"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	stdnet "net"

	"github.com/ouro-io/ouro/proactor"
)

// What may fall into the moment at which a goroutine's connection moves to the engine. Two ways bring the move about: the
// fourth Read, where there is one P and a ring, and elsewhere a call of what that calls, at some point of the traffic.

// onEachMove runs f in each of the two ways. move is to be called beside the traffic.
func onEachMove(t *testing.T, f func(t *testing.T, s *Stack, move func(*TCPConn))) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		t.Run("by hand", func(t *testing.T) {
			f(t, forced(e, modeRuntime), func(c *TCPConn) { _ = c.toEngine() })
		})
		if e.Info().Backend == proactor.IOUring {
			t.Run("by trial", func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
				f(t, On(e), func(*TCPConn) {})
			})
		}
	})
}

// sequence writes n bytes of a known sequence to w, in pieces of changing size, through deadlines, and then ends that side. Where
// half is given, it is waited for in the middle.
func sequence(w *TCPConn, seed int64, n int, half <-chan struct{}) ([32]byte, error) {
	r, h := rand.New(rand.NewSource(seed)), sha256.New()
	all := n
	for b := make([]byte, 20_000); n > 0; {
		if half != nil && n <= all/2 {
			<-half
		}
		p := b[:min(n, 1+r.Intn(len(b))>>r.Intn(10))]
		r.Read(p)
		h.Write(p)
		n -= len(p)
		for len(p) > 0 {
			m, err := w.Write(p)
			if p = p[m:]; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return [32]byte{}, err
			}
		}
	}
	return [32]byte(h.Sum(nil)), w.CloseWrite()
}

// drained reads c to its end, through deadlines, in pieces of changing size.
func drained(c io.Reader, seed int64) ([32]byte, error) {
	r, h := rand.New(rand.NewSource(seed)), sha256.New()
	for b := make([]byte, 20_000); ; {
		n, err := c.Read(b[:1+r.Intn(len(b))>>r.Intn(8)])
		h.Write(b[:n])
		switch {
		case err == io.EOF:
			return [32]byte(h.Sum(nil)), nil
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return [32]byte{}, err
		}
	}
}

// Both directions carry their bytes through the move, none lost and none twice, while deadlines expire, options are set, and
// descriptors are copied.
func TestMoveUnderTraffic(t *testing.T) {
	onEachMove(t, func(t *testing.T, s *Stack, move func(*TCPConn)) {
		moved := 0
		for seed := range int64(12) {
			c, peer := pipe(t, s, false)
			const size = 200_000
			var sums [4][32]byte
			var errs [6]error
			var traffic, beside sync.WaitGroup
			called := make(chan struct{})
			traffic.Go(func() { sums[0], errs[0] = sequence(peer, seed, size, called) })
			traffic.Go(func() { sums[1], errs[1] = drained(c, seed) })
			traffic.Go(func() { sums[2], errs[2] = sequence(c, seed+100, size, called) })
			traffic.Go(func() { sums[3], errs[3] = drained(peer, seed) })
			over := make(chan struct{})
			beside.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-over:
						return
					default:
					}
					errs[4] = errors.Join(errs[4], disturb(c, i))
					if i == int(seed%4) {
						move(c)
						close(called)
					}
				}
			})
			traffic.Wait()
			close(over)
			beside.Wait()
			require.NoError(t, errors.Join(errs[:]...))
			require.Equal(t, sums[0], sums[1], "what came")
			require.Equal(t, sums[2], sums[3], "what went")
			if c.conn.Load() != nil {
				moved++
			}
			require.NoError(t, c.Close())
			require.NoError(t, peer.Close())
		}
		require.Greater(t, moved, 6, "the traffic was over before the move")
	})
}

// disturb does the i-th of what a program may do beside its Reads and Writes.
func disturb(c *TCPConn, i int) error {
	switch i % 6 {
	case 0:
		return errors.Join(c.SetReadDeadline(past), c.SetReadDeadline(time.Time{}))
	case 1:
		return errors.Join(c.SetWriteDeadline(past), c.SetWriteDeadline(time.Time{}))
	case 2:
		return errors.Join(c.SetDeadline(time.Now().Add(time.Hour)), c.SetDeadline(time.Time{}))
	case 3:
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		return raw.Control(func(uintptr) {})
	case 4:
		f, err := c.File()
		if err != nil {
			return err
		}
		return f.Close()
	}
	return c.SetNoDelay(i%4 == 1)
}

// beforeTrial is a connection whose next Read is the one that may move it.
func beforeTrial(t *testing.T, s *Stack) (c, peer *TCPConn) {
	c, peer = pipe(t, s, false)
	b := make([]byte, 1)
	for range trialReads - 1 {
		_, err := peer.Write(b)
		require.NoError(t, err)
		_, err = c.Read(b)
		require.NoError(t, err)
	}
	return c, peer
}

// A deadline that passed before the move, or that is set while it happens, holds after it.
func TestMoveMeetsDeadline(t *testing.T) {
	onEachMove(t, func(t *testing.T, s *Stack, move func(*TCPConn)) {
		for i := range 40 {
			c, peer := beforeTrial(t, s)
			b := make([]byte, 1)
			ended := make(chan error, 1)
			go func() {
				if i%2 == 0 {
					move(c)
				}
				_, err := c.Read(b) // the fourth
				ended <- err
			}()
			for range i % 5 {
				runtime.Gosched()
			}
			require.NoError(t, c.SetReadDeadline(past))
			err := <-ended
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Equal(t, "read tcp "+c.LocalAddr().String()+"->"+c.RemoteAddr().String()+": i/o timeout", err.Error())
			require.NoError(t, c.SetReadDeadline(time.Time{}))
			_, err = peer.Write([]byte{7})
			require.NoError(t, err)
			_, err = c.Read(b)
			require.NoError(t, err)
			require.Equal(t, byte(7), b[0])
			require.NoError(t, c.Close())
			require.NoError(t, peer.Close())
		}
	})
}

// Close, or CloseRead, at the moment of the move ends the Read that brings it about as on a connection of the standard library.
func TestMoveMeetsEnd(t *testing.T) {
	onEachMove(t, func(t *testing.T, s *Stack, move func(*TCPConn)) {
		for i := range 60 {
			c, peer := beforeTrial(t, s)
			b := make([]byte, 1)
			reads, writes := make(chan error, 1), make(chan error, 1)
			go func() {
				if i%2 == 0 {
					move(c)
				}
				_, err := c.Read(make([]byte, 1))
				reads <- err
			}()
			go func() { // until the socket takes no more
				_, err := c.Write(large)
				writes <- err
			}()
			for range i % 7 {
				runtime.Gosched()
			}
			name := "tcp " + c.LocalAddr().String() + "->" + c.RemoteAddr().String()
			if i%3 == 0 {
				require.NoError(t, c.CloseRead())
				require.Equal(t, io.EOF, <-reads)
			}
			require.NoError(t, c.Close())
			if i%3 != 0 {
				requireClosed(t, <-reads, "read "+name)
			}
			requireClosed(t, <-writes, "write "+name)
			require.ErrorIs(t, c.Close(), stdnet.ErrClosed)
			_, err := c.Read(b)
			require.ErrorIs(t, err, stdnet.ErrClosed)
			require.ErrorIs(t, c.SetDeadline(time.Time{}), stdnet.ErrClosed)
			_, err = c.File()
			require.ErrorIs(t, err, stdnet.ErrClosed)
			require.NoError(t, peer.Close())
		}
	})
}

func requireClosed(t *testing.T, err error, what string) {
	t.Helper()
	require.ErrorIs(t, err, stdnet.ErrClosed)
	require.Equal(t, what+": use of closed network connection", err.Error())
}

// ReadFrom and WriteTo, which splice in runtime mode, carry their bytes whether the move comes before them, while they run, or is
// refused because of them.
func TestMoveMeetsCopies(t *testing.T) {
	onEachMove(t, func(t *testing.T, s *Stack, move func(*TCPConn)) {
		for seed := range int64(12) {
			in, inPeer := pipe(t, s, false)
			out, outPeer := pipe(t, s, false)
			var sums [4][32]byte
			var errs [5]error
			var all sync.WaitGroup
			const size = 150_000
			all.Go(func() { sums[0], errs[0] = sequence(inPeer, seed, size, nil) })
			all.Go(func() { // a proxy's two directions
				var err error
				if seed%2 == 0 {
					_, err = out.ReadFrom(in)
				} else {
					_, err = in.WriteTo(out)
				}
				errs[1] = errors.Join(err, out.CloseWrite())
			})
			all.Go(func() { sums[1], errs[2] = drained(outPeer, seed) })
			all.Go(func() { sums[2], errs[3] = sequence(outPeer, seed+100, size/4, nil) })
			all.Go(func() { sums[3], errs[4] = drained(out, seed) })
			for range seed {
				runtime.Gosched()
			}
			move(out)
			move(in)
			all.Wait()
			require.NoError(t, errors.Join(errs[:]...))
			require.Equal(t, sums[0], sums[1], "through the proxy")
			require.Equal(t, sums[2], sums[3], "read meanwhile")
			for _, c := range []*TCPConn{in, inPeer, out, outPeer} {
				require.NoError(t, c.Close())
			}
		}
	})
}
