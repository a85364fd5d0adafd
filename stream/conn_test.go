//go:build linux

package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	stdnet "net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/worldtest"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

func onEachBackend(t *testing.T, c proactor.Config, f func(t *testing.T, e *proactor.Engine)) {
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			if err := denytest.NoRing(); b == proactor.IOUring && err != nil {
				t.Skip(err)
			}
			c.Backend, c.Log = b, func(s string) { t.Log(s) }
			e, err := proactor.New(c)
			require.NoError(t, err)
			t.Cleanup(func() {
				require.NoError(t, e.Shutdown(worldtest.Within(t)))
				for _, g := range e.Stats().Buffers {
					require.Zero(t, g.Out, "leases left")
				}
			})
			f(t, e)
		})
	}
}

// serve runs handler as the coroutine of one connection and returns the peer's end, a socket of the standard library.
func serve(t *testing.T, e *proactor.Engine, handler func(net.Conn) error) (peer *stdnet.TCPConn, done chan error) {
	stack := net.On(e)
	l, err := stack.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done = make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = stack.Serve(l, func(c net.Conn) { done <- handler(c) })
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	c, err := stdnet.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*stdnet.TCPConn), done
}

func wait(t *testing.T, done chan error) {
	t.Helper()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(worldtest.Hang):
		t.Fatal("hangs")
	}
}

// TestBackpressure is the promise: a sink that stops makes the peer's socket stop accepting, with bounded memory
// between, and after it goes on nothing is lost, doubled or reordered. A frame is a counter, so every byte is checked.
func TestBackpressure(t *testing.T) {
	// Small buffers of the engine, so that the bound is well below what the peer would like to send.
	c := proactor.Config{Workers: 1}
	onEachBackend(t, c, func(t *testing.T, e *proactor.Engine) {
		resume := make(chan struct{})
		stalled := make(chan struct{})
		var got, next uint64
		peer, done := serve(t, e, func(c net.Conn) error {
			frames := LengthPrefixed(Read(c), Prefix{Bytes: 2})
			numbers := Map(frames, func(f []byte) uint64 { return binary.BigEndian.Uint64(f) })
			checked := MapConcurrent(numbers.Buffer(8), 4, func(_ context.Context, v uint64) (uint64, error) { return v, nil })
			return checked.ForEach(context.Background(), func(v uint64) error {
				if got++; got == 100 {
					close(stalled)
					<-resume // the sink stops
				}
				if v != next {
					return fmt.Errorf("frame %d instead of %d", v, next)
				}
				next++
				return nil
			})
		})
		require.NoError(t, peer.SetWriteBuffer(64<<10))
		var sent uint64
		frame := make([]byte, 2+1000)
		binary.BigEndian.PutUint16(frame, 1000)
		pending := []byte(nil)
		// send writes frames until the socket takes no more for a while, and returns how many bytes it took.
		send := func(limit int) (total int) {
			for total < limit {
				if len(pending) == 0 {
					binary.BigEndian.PutUint64(frame[2:], sent)
					sent++
					pending = frame
				}
				require.NoError(t, peer.SetWriteDeadline(time.Now().Add(500*time.Millisecond)))
				n, err := peer.Write(pending)
				total += n
				pending = pending[n:]
				if errors.Is(err, os.ErrDeadlineExceeded) {
					return total
				}
				require.NoError(t, err)
			}
			return total
		}
		const plenty = 512 << 20
		accepted := send(plenty)
		require.Less(t, accepted, plenty, "the peer's socket never stopped accepting")
		<-stalled
		for more := 1; more > 0 && accepted < plenty; accepted += more { // the kernel may still find a little room
			more = send(plenty)
		}
		require.Less(t, accepted, plenty, "it stopped for a moment only")
		held := 0
		for _, g := range e.Stats().Buffers {
			held += g.PeakOut
		}
		require.Less(t, held, 200, "buffers held for one connection whose sink has stopped")
		t.Logf("%d bytes accepted and %d buffers held while the sink stood", accepted, held)
		close(resume)
		require.NoError(t, peer.SetWriteDeadline(time.Time{}))
		for i := 0; i < 1000 || len(pending) > 0; i++ {
			if len(pending) == 0 {
				binary.BigEndian.PutUint64(frame[2:], sent)
				sent++
				pending = frame
			}
			n, err := peer.Write(pending)
			require.NoError(t, err)
			pending = pending[n:]
		}
		require.NoError(t, peer.CloseWrite())
		wait(t, done)
		require.Equal(t, sent, next)
	})
}

// TestCancelConnections ends reads and writes that wait in the engine by their context, and uses the connection after.
func TestCancelConnections(t *testing.T) {
	onEachBackend(t, proactor.Config{}, func(t *testing.T, e *proactor.Engine) {
		begin := make(chan struct{})
		peer, done := serve(t, e, func(c net.Conn) error {
			for name, read := range map[string]func(ctx context.Context) error{
				"Read":   func(ctx context.Context) error { return Read(c).Run(ctx) },
				"Leases": func(ctx context.Context) error { return Leases(c.(LeaseReader)).Run(ctx) },
				"Lines":  func(ctx context.Context) error { return Lines(Read(c), 0).Buffer(3).Run(ctx) },
				"Write": func(ctx context.Context) error {
					big := make([]byte, 32<<20)
					_, err := Write(ctx, Of(big), c)
					return err
				},
			} {
				ctx, cancel := context.WithCancelCause(context.Background())
				stop := time.AfterFunc(5*time.Millisecond, func() { cancel(errBoom) })
				err := read(ctx)
				stop.Stop()
				if !errors.Is(err, errBoom) {
					return fmt.Errorf("%s: %v", name, err)
				}
			}
			close(begin)
			line, ok, err := Own(Lines(Read(c), 0)).First(context.Background())
			if string(line) != "still here" || !ok || err != nil {
				return fmt.Errorf("%q, %v", line, err)
			}
			return nil
		})
		<-begin
		_, err := peer.Write([]byte("still here\n"))
		require.NoError(t, err)
		wait(t, done)
	})
}

// TestLeasesPass sends leases from a connection to itself, through a buffer and an early end, and counts what is left.
func TestLeasesPass(t *testing.T) {
	onEachBackend(t, proactor.Config{}, func(t *testing.T, e *proactor.Engine) {
		const total = 4 << 20
		peer, done := serve(t, e, func(c net.Conn) error {
			left := total
			s := Leases(c.(LeaseReader)).Buffer(4).TakeWhile(func(l buffers.Lease) bool {
				left -= l.Len()
				return true
			})
			echo := Stream[buffers.Lease](func(ctx context.Context, yield func(buffers.Lease) bool) error {
				return s(ctx, func(l buffers.Lease) bool { return yield(l) && left > 0 })
			})
			return WriteLeases(context.Background(), echo, c.(LeaseWriter))
		})
		sent := make([]byte, total)
		for i := range sent {
			sent[i] = byte(i * 7 >> 3)
		}
		go func() { _, _ = peer.Write(sent) }()
		at := 0
		err := Read(peer).ForEach(worldtest.Within(t), func(b []byte) error {
			for i := range b {
				if b[i] != sent[at+i] {
					return fmt.Errorf("byte %d is wrong", at+i)
				}
			}
			at += len(b)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, total, at)
		wait(t, done)
	})
}

func TestDatagrams(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		a, err := stdnet.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer a.Close()
		b, err := stdnet.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer b.Close()
		// One at a time, so that nothing can be dropped: each answer asks for the next.
		go func() {
			_ = WriteDatagrams(worldtest.Within(t), Datagrams(a, 0).Take(20), a) // echo
		}()
		for i := range 20 {
			if err := WriteDatagrams(worldtest.Within(t), Of(Datagram{a.LocalAddr(), []byte{byte(i)}}), b); err != nil {
				return err
			}
			d, ok, err := Datagrams(b, 100).First(worldtest.Within(t))
			if err != nil || !ok || len(d.Data) != 1 || d.Data[0] != byte(i) {
				return fmt.Errorf("%v, %v", d, err)
			}
		}
		ctx, cancel := context.WithCancelCause(worldtest.Within(t))
		stop := time.AfterFunc(time.Millisecond, func() { cancel(errBoom) })
		defer stop.Stop()
		if err := Datagrams(b, 0).Run(ctx); !errors.Is(err, errBoom) {
			return err
		}
		executor.Yield()
		return nil
	})
}
