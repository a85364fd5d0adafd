//go:build linux

package net

import (
	"context"
	"fmt"
	stdnet "net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/proactor"
)

// localUDP is a socket of s on loopback, until the test ends.
func localUDP(t testing.TB, s *Stack) *UDPConn {
	c, err := s.ListenUDP("udp4", &UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// servePackets serves a new socket of s until the test ends, and returns its address and its end.
func servePackets(t *testing.T, s *Stack, ps PacketServer) (c *UDPConn, ended <-chan error) {
	c = localUDP(t, s)
	end := make(chan error, 1)
	go func() { end <- ps.Serve(context.Background(), c) }()
	return c, end
}

// askPackets has clients exchange messages with the server at addr, one after the other each.
func askPackets(t *testing.T, addr Addr, clients, rounds int) {
	var wg sync.WaitGroup
	for k := range clients {
		d, err := stdnet.DialUDP("udp4", nil, addr.(*UDPAddr))
		require.NoError(t, err)
		t.Cleanup(func() { _ = d.Close() })
		require.NoError(t, d.SetDeadline(time.Now().Add(hangs)))
		wg.Go(func() {
			buf := make([]byte, 2000)
			for i := range rounds {
				want := numbered(k*rounds+i, 1+i*7)
				if _, err := d.Write(want); !sound(t, err) {
					return
				}
				n, err := d.Read(buf)
				if !sound(t, err) || string(buf[:n]) != string(want) {
					t.Errorf("echo %d of %d differs: %d bytes", i, k, n)
					return
				}
			}
		})
	}
	wg.Wait()
}

func echoPacket(p *Packet) { _ = p.Reply(p.Data) }

func TestServePacket(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for _, ps := range []PacketServer{{}, {Concurrency: 1}, {Goroutines: true}, {GRO: true}} {
			t.Run(fmt.Sprintf("%+v", ps), func(t *testing.T) {
				ps.Handler = echoPacket
				c, ended := servePackets(t, On(e), ps)
				askPackets(t, c.LocalAddr(), 8, 100)
				require.NoError(t, c.Close())
				err := <-ended
				require.ErrorIs(t, err, ErrClosed)
				require.Equal(t, "read", err.(*OpError).Op)
			})
		}
	})
}

// TestServePacketElsewhere: what cannot be on the engine is served on goroutines.
func TestServePacketElsewhere(t *testing.T) {
	std, err := stdnet.ListenUDP("udp4", &UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	pinned, err := ListenUDP("udp4", &UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	_, err = pinned.SyscallConn()
	require.NoError(t, err)
	for _, c := range []PacketConn{std, pinned} {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- PacketServer{Handler: echoPacket}.Serve(ctx, c) }()
		askPackets(t, c.LocalAddr(), 4, 20)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	}
}

// TestServePacketWaiting: handlers that wait do not hold up the others, and no more than Concurrency are inside.
func TestServePacketWaiting(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		const bound = 5
		release := make(chan struct{})
		var inside, most atomic.Int64
		c, ended := servePackets(t, On(e), PacketServer{Concurrency: bound, Handler: func(p *Packet) {
			now := inside.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			<-release // something that the engine does not know
			inside.Add(-1)
			_ = p.Reply(p.Data)
		}})
		done := make(chan struct{})
		go func() { defer close(done); askPackets(t, c.LocalAddr(), 2*bound, 3) }()
		for end := time.Now().Add(hangs); inside.Load() < bound; time.Sleep(time.Millisecond) {
			require.True(t, time.Now().Before(end), "only %d handlers are inside", inside.Load())
		}
		close(release)
		<-done
		require.LessOrEqual(t, most.Load(), int64(bound))
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-ended, ErrClosed)
	})
}

func TestServePacketPanics(t *testing.T) {
	for _, b := range backends {
		e := newEngine(t, proactor.Config{Backend: b, Log: func(string) {}})
		var calls atomic.Int64
		c, ended := servePackets(t, On(e), PacketServer{Concurrency: 2, Handler: func(p *Packet) {
			_ = p.Reply(p.Data)
			if calls.Add(1)%3 == 0 {
				panic("on purpose")
			}
		}})
		askPackets(t, c.LocalAddr(), 3, 30)
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-ended, ErrClosed)
		require.NotZero(t, e.Stats().Executor.Panics)
	}
}

func TestServePacketRefuses(t *testing.T) {
	c := localUDP(t, defaultStack)
	require.ErrorContains(t, ServePacket(c, nil), "without a Handler")
	require.ErrorContains(t, PacketServer{Handler: echoPacket, Concurrency: -1}.Serve(context.Background(), c), "Concurrency")
	require.Error(t, ServePacket(&UDPConn{}, echoPacket))
}

// TestUDPAllocations: the variants that are meant not to allocate do not, in any mode.
func TestUDPAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	onEachUDP(t, func(t *testing.T, a udpAPI) {
		l, d := udpPair(t, a)
		at := d.LocalAddr().(*UDPAddr).AddrPort()
		buf, oob := make([]byte, 100), make([]byte, 100)
		bs := []Message{{Buffers: [][]byte{buf[:10]}}, {Buffers: [][]byte{buf[10:20]}}}
		in := []Message{{Buffers: [][]byte{buf[:10]}}, {Buffers: [][]byte{buf[10:20]}}}
		a.run(t, func() {
			round := func() {
				_, err := d.Write(buf[:10])
				_, _, err2 := l.ReadFromUDPAddrPort(buf)
				_, err3 := l.WriteToUDPAddrPort(buf[:10], at)
				_, _, _, _, err4 := d.ReadMsgUDPAddrPort(buf, oob)
				_, _, err5 := l.WriteMsgUDPAddrPort(buf[:10], nil, at)
				_, err6 := d.Read(buf)
				_, err7 := d.WriteBatch(bs, 0)
				n, err8 := l.ReadBatch(in, 0)
				if n == 1 {
					_, err8 = l.ReadBatch(in, 0)
				}
				for _, err := range []error{err, err2, err3, err4, err5, err6, err7, err8} {
					sound(t, err)
				}
			}
			round()
			n := testing.AllocsPerRun(200, round)
			for attempt := 0; n >= 1 && attempt < 20; attempt++ { // a worker that parks in between allocates
				n = min(n, testing.AllocsPerRun(200, round))
			}
			if n >= 1 {
				t.Errorf("%v allocations", n)
			}
		})
	})
}
