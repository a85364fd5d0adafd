//go:build linux

package proactor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/dgram"
)

// packetSocket makes a UDP socket on e, and its address.
func packetSocket(t testing.TB, e *Engine) (*PacketConn, *net.UDPAddr) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|e.FileFlags(), 0)
	require.NoError(t, err)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	c, err := e.NewPacketConn(fd)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c, net.UDPAddrFromAddrPort(c.LocalAddr().AddrPort())
}

// udpPeer makes a socket of the standard library that is connected to addr.
func udpPeer(t testing.TB, addr *net.UDPAddr) *net.UDPConn {
	c, err := net.DialUDP("udp4", nil, addr)
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(hangs)))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// withEngines runs f on an engine of each backend.
func withEngines(t *testing.T, c Config, f func(t *testing.T, e *Engine)) {
	onEachBackend(t, func(t *testing.T, d Config) {
		c.Backend, c.Log = d.Backend, d.Log
		f(t, newEngine(t, c))
	})
}

// message is a header for p to name.
func message(p, name []byte) dgram.Msg {
	var m dgram.Msg
	iov := &unix.Iovec{}
	if len(p) > 0 {
		iov.Base = &p[0]
	}
	iov.SetLen(len(p))
	m.Hdr.Iov = iov
	m.Hdr.SetIovlen(1)
	if len(name) > 0 {
		m.Hdr.Name, m.Hdr.Namelen = &name[0], uint32(len(name))
	}
	return m
}

// echoPackets answers each packet until c is closed. how says by what.
func echoPackets(c *PacketConn, how string) error {
	for {
		p, err := c.ReadPacket()
		if err != nil {
			return err
		}
		if how == "Send" {
			err = c.Send(p.Payload, p.Name, nil)
		} else {
			_, err = c.WriteMsgs([]dgram.Msg{message(p.Payload, p.Name)})
		}
		p.Lease.Release()
		if err != nil {
			return err
		}
	}
}

func TestPacketEcho(t *testing.T) {
	for _, who := range []string{"goroutines", "coroutines"} {
		for _, how := range []string{"Send", "WriteMsgs"} {
			for _, readers := range []int{1, 4} {
				t.Run(fmt.Sprint(who, " ", readers, " ", how), func(t *testing.T) {
					withEngines(t, Config{Workers: 2}, func(t *testing.T, e *Engine) {
						c, addr := packetSocket(t, e)
						ended := make(chan error, readers)
						for range readers {
							if who == "goroutines" {
								go func() { ended <- echoPackets(c, how) }()
							} else {
								require.NoError(t, c.Worker().Go(func() { ended <- echoPackets(c, how) }))
							}
						}
						var wg sync.WaitGroup
						for k := range 8 {
							peer := udpPeer(t, addr)
							wg.Go(func() {
								buf := make([]byte, 4096)
								for i := range 100 {
									want := bytesFrom(k*1000+i, 1+i*13)
									_, err := peer.Write(want)
									if !fine(t, err) {
										return
									}
									n, err := peer.Read(buf)
									if !fine(t, err) {
										return
									}
									if string(want) != string(buf[:n]) {
										t.Errorf("echo %d of %d differs: %d bytes for %d", i, k, n, len(want))
										return
									}
								}
							})
						}
						wg.Wait()
						require.NoError(t, c.Close())
						for range readers {
							require.ErrorIs(t, within(t, ended), ErrClosed)
						}
						require.ErrorIs(t, c.Close(), ErrClosed)
						require.Zero(t, c.Dropped())
					})
				})
			}
		}
	}
}

func fine(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

// TestPacketsWhole: whatever the sizes, also the largest, empty ones and with few buffers, each packet is one datagram,
// and all of it.
func TestPacketsWhole(t *testing.T) {
	for name, b := range map[string]buffers.GroupConfig{
		"default": {}, "one buffer": {Count: 1, Provide: 1}, "two": {Count: 2, Provide: 1},
	} {
		t.Run(name, func(t *testing.T) {
			withEngines(t, Config{Workers: 1, Buffers: b}, func(t *testing.T, e *Engine) {
				c, addr := packetSocket(t, e)
				peer := udpPeer(t, addr)
				rnd := rand.New(rand.NewPCG(1, 2))
				var held []Packet
				for i := range 200 {
					n := rnd.IntN(3000)
					switch i % 20 {
					case 3:
						n = 65507
					case 7:
						n = 0
					}
					want := bytesFrom(i, n)
					_, err := peer.Write(want)
					require.NoError(t, err)
					p, err := c.ReadPacket()
					require.NoError(t, err)
					require.True(t, string(want) == string(p.Payload), "packet %d of %d bytes, got %d", i, n, len(p.Payload))
					require.Zero(t, p.Flags)
					from, _ := dgram.ParseName(p.Name)
					require.Equal(t, peer.LocalAddr().String(), from.String())
					// Some stay held, so that buffers run out.
					if i%3 == 0 && len(held) < 5 {
						held = append(held, p)
						continue
					}
					p.Lease.Release()
				}
				for _, p := range held {
					p.Lease.Release()
				}
			})
		})
	}
}

func TestPacketCutOff(t *testing.T) {
	withEngines(t, Config{Workers: 1, Buffers: buffers.GroupConfig{Size: 1024}}, func(t *testing.T, e *Engine) {
		c, addr := packetSocket(t, e)
		peer := udpPeer(t, addr)
		const room = 1024 - packetFront
		for _, n := range []int{room, room + 1} {
			want := bytesFrom(n, n)
			_, err := peer.Write(want)
			require.NoError(t, err)
			p, err := c.ReadPacket()
			require.NoError(t, err)
			require.Equal(t, want[:min(n, room)], p.Payload)
			require.Equal(t, n > room, p.Flags&unix.MSG_TRUNC != 0)
			p.Lease.Release()
		}
	})
}

// TestPacketRefused: an error of the socket is told once, to whoever comes first, and the socket goes on.
func TestPacketRefused(t *testing.T) {
	withEngines(t, Config{Workers: 1}, func(t *testing.T, e *Engine) {
		c, addr := packetSocket(t, e)
		// Nobody receives at an address whose socket is connected to itself, and nobody else gets it while that is there.
		deaf := udpPeer(t, addr)
		nobody := &unix.SockaddrInet4{Port: deaf.LocalAddr().(*net.UDPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
		raw, err := deaf.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) { require.NoError(t, unix.Connect(int(fd), nobody)) }))
		require.NoError(t, c.Control(func(fd int) error { return unix.Connect(fd, nobody) }))
		one := func() error {
			_, err := c.WriteMsgs([]dgram.Msg{message([]byte("x"), nil)})
			return err
		}
		for range 5 {
			require.NoError(t, one())
			_, err := c.ReadPacket()
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			// The receive is armed by now, and finds the error before anybody asks.
			require.NoError(t, one())
			eventually(t, "the refusal", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.rerr != nil })
			require.ErrorIs(t, one(), syscall.ECONNREFUSED)
		}
	})
}

func TestPacketDeadlines(t *testing.T) {
	for _, who := range []string{"goroutine", "coroutine"} {
		t.Run(who, func(t *testing.T) {
			clock := newSkewed()
			withEngines(t, Config{Workers: 1, clock: clock}, func(t *testing.T, e *Engine) {
				c, addr := packetSocket(t, e)
				run := func(f func() error) <-chan error {
					got := make(chan error, 1)
					if who == "goroutine" {
						go func() { got <- f() }()
					} else {
						require.NoError(t, c.Worker().Go(func() { got <- f() }))
					}
					return got
				}
				read := func() error {
					p, err := c.ReadPacket()
					p.Lease.Release()
					return err
				}
				require.NoError(t, c.SetReadDeadline(time.Now().Add(-time.Second)))
				require.ErrorIs(t, within(t, run(read)), os.ErrDeadlineExceeded)
				require.NoError(t, c.SetReadDeadline(time.Time{}))
				waiting := run(read)
				eventually(t, "a reader", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.readers) == 1 })
				require.NoError(t, c.SetReadDeadline(time.Unix(1, 0)))
				require.ErrorIs(t, within(t, waiting), os.ErrDeadlineExceeded)
				require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Millisecond)))
				require.ErrorIs(t, within(t, run(read)), os.ErrDeadlineExceeded)
				require.ErrorIs(t, within(t, run(func() error {
					_, err := c.WriteMsgs([]dgram.Msg{message([]byte("x"), nil)})
					return err
				})), os.ErrDeadlineExceeded)
				require.NoError(t, c.SetDeadline(time.Time{}))
				peer := udpPeer(t, addr)
				_, err := peer.Write([]byte("x"))
				require.NoError(t, err)
				require.NoError(t, within(t, run(read)))
			})
		})
	}
}

// unixPacket makes a Unix datagram socket on e whose peer's queue is full, and the peer.
func unixPacket(t *testing.T, e *Engine) (c *PacketConn, peer int) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|e.FileFlags(), 0)
	require.NoError(t, err)
	c, err = e.NewPacketConn(p[0])
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(); unix.Close(p[1]) })
	for {
		if err := unix.Sendto(p[0], []byte("full"), unix.MSG_DONTWAIT, nil); err != nil {
			require.ErrorIs(t, err, unix.EAGAIN)
			return c, p[1]
		}
	}
}

// incomparable is a context of a type of which values cannot be compared.
type incomparable struct {
	context.Context
	_ []byte
}

// TestPacketWriteWaits: a write that finds no room goes on when there is some, and ends with its deadline, its context or Close.
func TestPacketWriteWaits(t *testing.T) {
	withEngines(t, Config{Workers: 1}, func(t *testing.T, e *Engine) {
		for _, end := range []string{"room", "deadline", "close", "context"} {
			c, peer := unixPacket(t, e)
			cancelled, cancel := context.WithCancel(t.Context())
			ctx := incomparable{cancelled, nil}
			type result struct {
				n   int
				err error
			}
			got := make(chan result, 1)
			msgs := []dgram.Msg{message([]byte("a"), nil), message([]byte("b"), nil), message([]byte("c"), nil)}
			go func() {
				n, err := c.WriteMsgsContext(ctx, msgs)
				got <- result{n, err}
			}()
			eventually(t, "the write in flight", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.flying.head != nil })
			switch end {
			case "room":
				left := 3
				for left > 0 {
					b := make([]byte, 10)
					n, _, err := unix.Recvfrom(peer, b, 0)
					if err == unix.EINTR || err == unix.EAGAIN {
						continue
					}
					require.NoError(t, err)
					if string(b[:n]) != "full" {
						require.Equal(t, string("abc"[3-left]), string(b[:n]))
						left--
					}
				}
				require.Equal(t, result{3, nil}, within(t, got))
			case "deadline":
				require.NoError(t, c.SetWriteDeadline(time.Unix(1, 0)))
				require.Equal(t, result{0, os.ErrDeadlineExceeded}, within(t, got))
			case "close":
				require.NoError(t, c.Close())
				require.Equal(t, result{0, ErrClosed}, within(t, got))
			case "context":
				cancel()
				require.Equal(t, result{0, context.Canceled}, within(t, got))
			}
			cancel()
		}
	})
}

// TestPacketSendIsBounded: packets without a byte wait in memory like any other.
func TestPacketSendIsBounded(t *testing.T) {
	withEngines(t, Config{Workers: 1, WriteQueue: 1 << 20}, func(t *testing.T, e *Engine) {
		c, _ := unixPacket(t, e)
		for n := 0; ; n++ {
			err := c.Send(nil, nil, nil)
			if err != nil {
				require.Equal(t, ErrWriteQueueFull, err)
				return
			}
			require.Less(t, n, 1<<15, "no end to what is kept")
		}
	})
}

// TestPacketCloseSends: what Send has accepted goes though the socket is closed right behind it, whoever calls.
func TestPacketCloseSends(t *testing.T) {
	for _, who := range []string{"goroutine", "coroutine"} {
		t.Run(who, func(t *testing.T) {
			withEngines(t, Config{Workers: 1}, func(t *testing.T, e *Engine) {
				const packets = 50 // fewer than a socket holds
				c, _ := packetSocket(t, e)
				peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
				require.NoError(t, err)
				defer peer.Close()
				require.NoError(t, peer.SetDeadline(time.Now().Add(hangs)))
				name := make([]byte, dgram.NameBytes)
				name = name[:dgram.PutName(name, peer.LocalAddr().(*net.UDPAddr).AddrPort(), 0, false)]
				done := make(chan error, 1)
				run := func() {
					for i := range packets {
						if err := c.Send([]byte{byte(i)}, name, nil); err != nil {
							done <- err
							return
						}
					}
					done <- c.Close()
				}
				if who == "coroutine" {
					require.NoError(t, c.Worker().Go(run))
				} else {
					go run()
				}
				require.NoError(t, within(t, done))
				require.Zero(t, c.Dropped())
				for i := range packets {
					b := make([]byte, 2)
					n, err := peer.Read(b)
					require.NoError(t, err)
					require.Equal(t, []byte{byte(i)}, b[:n])
				}
			})
		})
	}
}

// TestPacketCloseGivesUp: Close comes to its end where the socket has no room and nobody makes any.
func TestPacketCloseGivesUp(t *testing.T) {
	withEngines(t, Config{Workers: 1}, func(t *testing.T, e *Engine) {
		c, _ := unixPacket(t, e) // whose peer's queue is full, and stays so
		accepted := uint64(0)
		for ; c.Send(make([]byte, 4096), nil, nil) == nil; accepted++ {
		}
		require.NoError(t, c.Close())
		require.Positive(t, accepted)
		require.Equal(t, accepted, c.Dropped())
	})
}

// TestPacketSlowReader: packets that nobody reads are bounded by the quota, and reading goes on afterwards.
func TestPacketSlowReader(t *testing.T) {
	withEngines(t, Config{Workers: 1, ReceiveQuota: 1}, func(t *testing.T, e *Engine) {
		c, addr := packetSocket(t, e)
		peer := udpPeer(t, addr)
		send := func(i int) {
			_, err := peer.Write([]byte{byte(i), byte(i >> 8)})
			require.NoError(t, err)
		}
		send(0)
		p, err := c.ReadPacket() // arms the receive
		require.NoError(t, err)
		p.Lease.Release()
		for i := 1; i <= 10000; i++ {
			send(i)
			if i%50 == 0 {
				time.Sleep(time.Millisecond) // so that some turns pass
			}
		}
		c.mu.Lock()
		waiting := c.inbox.len()
		c.mu.Unlock()
		// The kernel may go on with what it has begun: one wake-up's worth beyond the burst.
		require.LessOrEqual(t, waiting, burst*packetQuota+256)
		last := 0
		for n := 0; n < waiting; n++ {
			p, err := c.ReadPacket()
			require.NoError(t, err)
			i := int(p.Payload[0]) + int(p.Payload[1])<<8
			require.Greater(t, i, last, "order")
			last = i
			p.Lease.Release()
		}
		// It is armed again: what is sent now arrives behind what the socket itself has kept.
		for last != 20000 {
			send(20000)
			p, err := c.ReadPacket()
			require.NoError(t, err)
			last = int(p.Payload[0]) + int(p.Payload[1])<<8
			p.Lease.Release()
		}
	})
}

// TestPacketCloseRaces closes sockets under readers, writers and Sends of every kind.
func TestPacketCloseRaces(t *testing.T) {
	withEngines(t, Config{Workers: 2}, func(t *testing.T, e *Engine) {
		for round := range 60 {
			c, addr := packetSocket(t, e)
			var wg sync.WaitGroup
			var stop atomic.Bool
			peer := udpPeer(t, addr)
			wg.Go(func() {
				for !stop.Load() {
					_, _ = peer.Write([]byte("x"))
				}
			})
			ended := make(chan error, 4)
			for i := range 4 {
				f := func() { ended <- echoPackets(c, []string{"Send", "WriteMsgs"}[i%2]) }
				if i < 2 {
					go f()
				} else {
					require.NoError(t, c.Worker().Go(f))
				}
			}
			for range round % 7 {
				time.Sleep(50 * time.Microsecond)
			}
			require.NoError(t, c.Close())
			for range 4 {
				err := within(t, ended)
				require.True(t, errors.Is(err, ErrClosed) || errors.Is(err, syscall.ECONNREFUSED), "%v", err)
			}
			stop.Store(true)
			wg.Wait()
		}
	})
}

func TestPacketShutdown(t *testing.T) {
	for _, b := range []Backend{IOUring, Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			skipWithout(t, b)
			e, err := New(Config{Backend: b, Workers: 1, grace: hangs})
			require.NoError(t, err)
			c, _ := packetSocket(t, e)
			ended := make(chan error, 1)
			go func() { ended <- echoPackets(c, "Send") }()
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			require.ErrorIs(t, e.Shutdown(ctx), context.Canceled)
			require.ErrorIs(t, within(t, ended), ErrClosed)
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			defer unix.Close(fd)
			_, err = e.NewPacketConn(fd)
			require.ErrorIs(t, err, ErrShutdown)
		})
	}
}

// TestNoAllocationPerPacket counts what an echo allocates, on coroutines, with Send and with WriteMsgs.
func TestNoAllocationPerPacket(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	withEngines(t, Config{Workers: 1}, func(t *testing.T, e *Engine) {
		for _, how := range []string{"Send", "WriteMsgs"} {
			c, addr := packetSocket(t, e)
			name := make([]byte, dgram.NameBytes)
			ms := []dgram.Msg{message(make([]byte, 8), name)}
			require.NoError(t, c.Worker().Go(func() {
				for {
					p, err := c.ReadPacket()
					if err != nil {
						return
					}
					if how == "Send" {
						err = c.Send(p.Payload, p.Name, nil)
					} else {
						copy(name, p.Name)
						ms[0].Hdr.Namelen = uint32(len(p.Name))
						_, err = c.WriteMsgs(ms)
					}
					p.Lease.Release()
					if err != nil {
						return
					}
				}
			}))
			peer := udpPeer(t, addr)
			buf := make([]byte, 8)
			allocs := testing.AllocsPerRun(500, func() {
				_, err := peer.Write(buf)
				require.NoError(t, err)
				_, err = peer.Read(buf)
				require.NoError(t, err)
			})
			require.Less(t, allocs, 0.5, how)
			require.NoError(t, c.Close())
		}
	})
}
