//go:build linux

package net

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	stdnet "net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// moreConn is what TCPConn and UnixConn of this package can do besides.
type moreConn interface {
	streamConn
	ReadContext(context.Context, []byte) (int, error)
	WriteContext(context.Context, []byte) (int, error)
	ReadLease() (buffers.Lease, error)
	WriteLease(buffers.Lease) error
	SendLease(buffers.Lease) error
	SetWriteQueueLimit(int) error
	PauseRead() error
	ResumeRead() error
}

var (
	_ moreConn = (*TCPConn)(nil)
	_ moreConn = (*UnixConn)(nil)
)

// onEachStream runs f with a pair of connections of each network, on each backend and in each mode, from goroutines and
// from coroutines.
func onEachStream(t *testing.T, f func(t *testing.T, c, peer moreConn)) {
	for _, network := range []string{"tcp", "unix"} {
		onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
			for _, p := range []modePolicy{modeEngine, modeRuntime} {
				for _, on := range []func(func()){func(f func()) { f() }, func(f func()) { runOn(e, f) }} {
					r := &record{t: t, api: ourAPI(forced(e, p))}
					c, peer := r.pair(network)
					on(func() { f(t, c.(moreConn), peer.(moreConn)) })
					c.Close()
					peer.Close()
				}
			}
		})
	}
}

func TestReadContext(t *testing.T) {
	onEachStream(t, func(t *testing.T, c, peer moreConn) {
		b := make([]byte, 8)
		ctx, cancel := context.WithCancel(context.Background())
		// Bytes that are there count for more than a context that lives.
		_, err := peer.Write([]byte("hello"))
		require.NoError(t, err)
		n, err := c.ReadContext(ctx, b)
		require.NoError(t, err)
		require.Equal(t, "hello", string(b[:n]))
		// It ends a Read that waits, and only the one that it is for.
		others := make(chan error, 2)
		began := make(chan bool, 2)
		for range 2 {
			go func() {
				began <- true
				_, err := c.ReadContext(context.WithoutCancel(ctx), make([]byte, 1))
				others <- err
			}()
		}
		<-began
		<-began
		ended := make(chan error, 1)
		go func() {
			_, err := c.ReadContext(ctx, b)
			ended <- err
		}()
		cancel()
		err = <-ended
		var op *OpError
		require.True(t, errors.As(err, &op))
		require.Equal(t, "read", op.Op)
		require.ErrorIs(t, err, context.Canceled)
		_, err = c.ReadContext(ctx, b)
		require.ErrorIs(t, err, context.Canceled)
		_, err = peer.Write([]byte("xy"))
		require.NoError(t, err)
		require.NoError(t, <-others)
		require.NoError(t, <-others)
		late, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_, err = c.ReadContext(late, b)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, errors.As(err, &op) && op.Timeout())
		// A deadline and a close end it as they end a Read.
		require.NoError(t, c.SetReadDeadline(soon()))
		live, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, err = c.ReadContext(live, b)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		go c.Close()
		_, err = c.ReadContext(live, b)
		require.ErrorIs(t, err, ErrClosed)
	})
}

func TestWriteContext(t *testing.T) {
	onEachStream(t, func(t *testing.T, c, peer moreConn) {
		ctx, cancel := context.WithCancel(context.Background())
		n, err := c.WriteContext(ctx, []byte("hello"))
		require.NoError(t, err)
		require.Equal(t, 5, n)
		type result struct {
			n   int
			err error
		}
		inside, waiting := make(chan result, 1), make(chan error, 1)
		go func() {
			n, err := c.WriteContext(ctx, large)
			inside <- result{n, err}
		}()
		go func() {
			// Whichever of the two comes first is cut short, the other finds its context ended.
			_, err := c.WriteContext(ctx, large)
			waiting <- err
		}()
		got := make([]byte, 4096)
		_, err = io.ReadFull(peer, got[:1]) // so something was written
		require.NoError(t, err)
		cancel()
		r := <-inside
		require.ErrorIs(t, r.err, context.Canceled)
		require.Less(t, r.n, len(large))
		require.ErrorIs(t, <-waiting, context.Canceled)
		// The connection still works, and what was counted as written arrives.
		wrote := make(chan error, 1)
		go func() {
			_, err := c.Write([]byte{1})
			wrote <- err
		}()
		for last := byte(0); last != 1; {
			n, err := peer.Read(got)
			require.NoError(t, err)
			last = got[n-1]
		}
		require.NoError(t, <-wrote)
	})
}

func TestAcceptContext(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		for _, network := range []string{"tcp", "unix"} {
			network, address := (&record{t: t}).address(network)
			ln, err := s.Listen(network, address)
			require.NoError(t, err)
			l := ln.(interface {
				Listener
				AcceptContext(context.Context) (Conn, error)
				SetDeadline(time.Time) error
			})
			// Many wait. Those that are cancelled leave, at any place in the queue; the others get a connection.
			const waiters = 8
			results := make(chan error, waiters)
			var cancels []func()
			for i := range waiters {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if i%2 == 0 {
					cancels = append(cancels, cancel)
				}
				accept := func() {
					c, err := l.AcceptContext(ctx)
					if err == nil {
						c.Close()
					}
					results <- err
				}
				if i%4 < 2 {
					go accept()
				} else {
					require.NoError(t, e.Executor().Go(accept))
				}
			}
			for _, cancel := range cancels {
				go cancel()
			}
			for range waiters / 2 {
				require.ErrorIs(t, <-results, context.Canceled)
			}
			for range waiters / 2 {
				c, err := stdnet.Dial(network, l.Addr().String())
				require.NoError(t, err)
				require.NoError(t, <-results)
				c.Close()
			}
			// Deadlines still count.
			require.NoError(t, l.SetDeadline(soon()))
			_, err = l.AcceptContext(t.Context())
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, l.Close())
			_, err = l.AcceptContext(t.Context())
			require.ErrorIs(t, err, ErrClosed)
		}
	})
}

// While reading is paused nothing more arrives than what had; then everything does, in order.
func TestPauseRead(t *testing.T) {
	onEachStream(t, func(t *testing.T, c, peer moreConn) {
		require.NoError(t, c.PauseRead())
		_, err := peer.Write([]byte("hello"))
		require.NoError(t, err)
		b := make([]byte, 8)
		require.NoError(t, c.SetReadDeadline(soon()))
		_, err = c.Read(b)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		read := make(chan string, 1)
		go func() {
			n, _ := c.Read(b)
			read <- string(b[:n])
		}()
		require.NoError(t, c.ResumeRead())
		require.Equal(t, "hello", <-read)
		// Paused, a sender comes to a stand; resumed, it ends and nothing is lost.
		require.NoError(t, c.PauseRead())
		sum := make(chan error, 1)
		go func() {
			_, err := peer.Write(large[:16<<20])
			sum <- err
			peer.CloseWrite()
		}()
		require.NoError(t, c.SetReadDeadline(soon()))
		_, err = io.Copy(io.Discard, onlyReader{c})
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		select {
		case err := <-sum:
			t.Error("the whole was taken: ", err)
		default:
		}
		require.NoError(t, c.ResumeRead())
		_, err = io.Copy(io.Discard, onlyReader{c})
		require.NoError(t, err)
		require.NoError(t, <-sum)
	})
}

// onlyReader hides WriteTo.
type onlyReader struct{ r io.Reader }

func (o onlyReader) Read(p []byte) (int, error) { return o.r.Read(p) }

// The queue of a connection is bounded, and what it took arrives in order.
func TestWriteQueue(t *testing.T) {
	onEachStream(t, func(t *testing.T, c, peer moreConn) {
		const limit = 256 << 10
		require.Error(t, c.SetWriteQueueLimit(0))
		require.NoError(t, c.SetWriteQueueLimit(limit))
		piece := make([]byte, 10_000)
		var sent bytes.Buffer
		full := false
		for i := range 10_000 {
			for j := range piece {
				piece[j] = byte(i)
			}
			err := c.SendLease(buffers.Wrap(bytes.Clone(piece)))
			if full = errors.Is(err, proactor.ErrWriteQueueFull); full {
				break
			}
			require.NoError(t, err)
			sent.Write(piece)
		}
		require.True(t, full, "the queue has no bound")
		require.LessOrEqual(t, streamOf(c).conn.Load().Queued(), limit)
		require.NoError(t, c.Close())
		require.ErrorIs(t, c.SendLease(buffers.Wrap(piece)), ErrClosed)
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.True(t, bytes.Equal(sent.Bytes(), got), "%d of %d", len(got), sent.Len())
	})
}

// Many connections get the same bytes; one that does not read is told of and holds nobody up; the lease is released
// once all have sent it.
func TestBroadcast(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		pool, err := buffers.NewPool(buffers.PoolConfig{})
		require.NoError(t, err)
		for _, on := range []func(func()){func(f func()) { f() }, func(f func()) { runOn(e, f) }} {
			r := &record{t: t, api: ourAPI(On(e))}
			const conns = 20
			var cs []Conn
			var peers []Conn
			for i := range conns {
				c, peer := r.pair([]string{"tcp", "unix"}[i%2])
				cs, peers = append(cs, c), append(peers, peer)
			}
			slow := streamOf(cs[7])
			require.NoError(t, slow.SetWriteQueueLimit(100<<10))
			closed := cs[8]
			require.NoError(t, closed.Close())
			strange, other := Pipe()
			defer other.Close()
			all := append(append([]Conn{}, cs...), strange)
			var readers sync.WaitGroup
			const rounds, size = 1000, 8192
			for i, p := range peers {
				if i == 7 || i == 8 {
					continue
				}
				readers.Go(func() {
					b := make([]byte, size)
					for round := range rounds {
						if _, err := io.ReadFull(p, b); err != nil || b[0] != byte(round) || b[size-1] != byte(round) {
							t.Error(i, round, err, b[0])
							return
						}
					}
				})
			}
			missedSlow := 0
			on(func() {
				for round := range rounds {
					l, err := pool.Get(size)
					if err != nil {
						t.Error(err)
						return
					}
					for i := range l.Bytes() {
						l.Bytes()[i] = byte(round)
					}
					for _, m := range Broadcast(l, all) {
						switch {
						case m.Conn == strange:
							require.ErrorIs(t, m.Err, errors.ErrUnsupported)
						case m.Conn == closed:
							require.ErrorIs(t, m.Err, ErrClosed)
						case m.Conn == cs[7]:
							require.ErrorIs(t, m.Err, proactor.ErrWriteQueueFull)
							missedSlow++
						default:
							t.Error("a reader missed it", m.Err)
						}
					}
					// The readers keep up: nobody but the slow one has much in its queue.
					for i, c := range cs {
						for i != 7 && i != 8 && streamOf(c).conn.Load().Queued() > 512<<10 {
							executor.Yield()
							time.Sleep(time.Millisecond)
						}
					}
				}
			})
			readers.Wait()
			require.Positive(t, missedSlow)
			for _, c := range append(cs, peers...) {
				c.Close()
			}
			strange.Close()
			require.Eventually(t, func() bool { return pool.Stats().Out == 0 }, 20*time.Second, time.Millisecond,
				"shares are held")
		}
		require.NoError(t, pool.Close())
		require.Empty(t, Broadcast(buffers.Wrap([]byte("x")), nil))
	})
}

// Who is not there is told, and holds up neither the others nor the lease.
func TestBroadcastToNobody(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		client, server := latePair(t, forced(e, modeEngine), "tcp")
		none := []Conn{nil, (*TCPConn)(nil), (*UnixConn)(nil), &TCPConn{}, &UnixConn{}}
		for _, conns := range [][]Conn{none, append([]Conn{server}, none...)} {
			released := make(chan bool, 1)
			missed := Broadcast(buffers.WrapFunc([]byte("hello"), func() { released <- true }), conns)
			require.Len(t, missed, len(none))
			for i, m := range missed {
				require.Equal(t, none[i], m.Conn)
				require.ErrorIs(t, m.Err, syscall.EINVAL)
				require.ErrorAs(t, m.Err, new(*OpError))
			}
			<-released
		}
		_, err := io.ReadFull(client, make([]byte, 5))
		require.NoError(t, err)
	})
}

// The sends of a broadcast to one worker's connections share a system call.
func TestBroadcastBatches(t *testing.T) {
	e := newEngine(t, proactor.Config{Backend: proactor.IOUring, Workers: 1})
	r := &record{t: t, api: ourAPI(forced(e, modeEngine))}
	const conns = 32
	var cs, peers []Conn
	for range conns {
		c, peer := r.pair("tcp")
		cs, peers = append(cs, c), append(peers, peer)
	}
	// It counts the reads and their coroutines, at most two each. A worker that is kept waiting parks, which takes more, so the
	// least of several counts.
	least := uint64(math.MaxUint64)
	for attempt := 0; least >= 3*conns && attempt < 20; attempt++ {
		before := e.Stats().Backend
		runOn(e, func() {
			require.Empty(t, Broadcast(buffers.Wrap([]byte("hello")), cs))
		})
		b := make([]byte, 5)
		for _, p := range peers {
			runOn(e, func() {
				_, err := io.ReadFull(p, b)
				require.NoError(t, err)
			})
		}
		after := e.Stats().Backend
		require.GreaterOrEqual(t, after.Submitted-before.Submitted, uint64(conns))
		least = min(least, after.Syscalls-before.Syscalls)
	}
	require.Less(t, least, uint64(3*conns))
	for _, c := range append(cs, peers...) {
		c.Close()
	}
}

// Buffers go out as one message, whatever they are written to, and shrink by what was written.
func TestBuffers(t *testing.T) {
	compareStreams(t, func(r *record, network string) {
		c, s := r.pair(network)
		writeTo := func(w Conn, parts ...[]byte) (int64, int, error) {
			if _, std := w.(interface{ ReadLease() (buffers.Lease, error) }); !std {
				b := stdnet.Buffers(parts)
				n, err := b.WriteTo(w)
				return n, len(b), err
			}
			b := Buffers(parts)
			n, err := b.WriteTo(w)
			return n, len(b), err
		}
		n, left, err := writeTo(c, []byte("one"), nil, []byte("two"), []byte("three"), nil)
		r.note("buffers", n, err)
		require.Zero(r.t, left)
		b := make([]byte, 16)
		m, err := io.ReadAtLeast(s, b, 11)
		r.note("read "+string(b[:m]), int64(m), err)
		n, left, err = writeTo(c)
		r.note("none", n, err)
		require.Zero(r.t, left)
		n, _, err = writeTo(c, nil, nil)
		r.note("empty ones", n, err)
		if network != "unixpacket" { // where a packet cannot be as large
			var many [][]byte
			for range 3000 {
				many = append(many, large[:1000])
			}
			got := make(chan error, 1)
			go func() {
				m, err := io.CopyN(io.Discard, s, 3000*1000)
				if m != 3000*1000 {
					err = io.ErrShortBuffer
				}
				got <- err
			}()
			n, left, err = writeTo(c, many...)
			r.note("many", n, err)
			require.Zero(r.t, left)
			r.err("read", <-got)
			patiently(r.t, 30*time.Millisecond, func(d time.Duration) bool {
				require.NoError(r.t, c.SetWriteDeadline(time.Now().Add(d)))
				n, left, err = writeTo(c, large, large)
				return n > 0
			})
			r.err("too much", err)
			require.Positive(r.t, left)
		}
		r.err("past", c.SetDeadline(past))
		n, left, err = writeTo(c, []byte("x"))
		r.note("late", n, err)
		require.Equal(r.t, 1, left)
		r.err("close", c.Close())
		n, _, err = writeTo(c, []byte("x"))
		r.note("closed", n, err)
	})
}
