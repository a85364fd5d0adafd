//go:build linux

package net

import (
	"fmt"
	"math/rand/v2"
	stdnet "net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/proactor"
)

// udpPair is two sockets of a, the second connected to the first.
func udpPair(t *testing.T, a udpAPI) (l, d *UDPConn) {
	lc, err := a.listen("udp4", &UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	dc, err := a.dial("udp4", nil, lc.LocalAddr().(*UDPAddr))
	require.NoError(t, err)
	l, d = lc.(*UDPConn), dc.(*UDPConn)
	require.NoError(t, l.SetReadBuffer(4<<20))
	require.NoError(t, l.SetDeadline(time.Now().Add(hangs)))
	require.NoError(t, d.SetDeadline(time.Now().Add(hangs)))
	t.Cleanup(func() { _ = l.Close(); _ = d.Close() })
	return l, d
}

// numbered is datagram i of n bytes, which no other resembles at any position.
func numbered(i, n int) []byte {
	p := make([]byte, n)
	for j := range p {
		p[j] = byte(i*31 + j*7 + j>>8)
	}
	return p
}

func withGRO(t *testing.T, c *UDPConn) {
	if err := c.SetGRO(true); err != nil {
		require.ErrorIs(t, err, syscall.ENOPROTOOPT)
		t.Skip("the kernel has no UDP_GRO: ", err)
	}
}

// TestUDPBatches sends runs of every shape in batches of every size, and reads them in batches, singly, and mixed: each
// datagram comes out whole, once, in order, with nothing of another, whatever the kernel has joined or cut.
func TestUDPBatches(t *testing.T) {
	for _, gro := range []bool{false, true} {
		t.Run(fmt.Sprint("gro=", gro), func(t *testing.T) {
			onEachUDP(t, func(t *testing.T, a udpAPI) {
				l, d := udpPair(t, a)
				if gro {
					withGRO(t, l)
				}
				a.run(t, func() {
					rnd := rand.New(rand.NewPCG(3, 9))
					count := 0
					for range 40 {
						var ms []Message
						var want [][]byte
						size := 1 + rnd.IntN(1400)
						for range 1 + rnd.IntN(100) {
							switch rnd.IntN(12) {
							case 0:
								size = 1 + rnd.IntN(1400)
							case 1:
								size = rnd.IntN(3) // empty ones too
							}
							p := numbered(count, size)
							count++
							want = append(want, p)
							cut := rnd.IntN(size + 1)
							ms = append(ms, Message{Buffers: [][]byte{p[:cut], p[cut:]}})
						}
						n, err := d.WriteBatch(ms, 0)
						if !sound(t, err) {
							return
						}
						if n != len(ms) {
							t.Errorf("%d of %d sent", n, len(ms))
							return
						}
						for i := range ms {
							if ms[i].N != len(want[i]) {
								t.Errorf("N is %d for %d bytes", ms[i].N, len(want[i]))
							}
						}
						if !readMixed(t, rnd, l, d, want) {
							return
						}
					}
				})
			})
		})
	}
}

func sound(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

// readMixed reads want from l by all means.
func readMixed(t *testing.T, rnd *rand.Rand, l, d *UDPConn, want [][]byte) bool {
	canary := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = 0xEE
		}
		return p
	}
	for len(want) > 0 {
		var got []Message
		if rnd.IntN(3) == 0 {
			m := Message{Buffers: [][]byte{canary(2000)}}
			n, from, err := l.ReadFrom(m.Buffers[0])
			if !sound(t, err) {
				return false
			}
			m.N, m.Addr = n, from
			got = []Message{m}
		} else {
			got = make([]Message, 1+rnd.IntN(20))
			for i := range got {
				got[i].Buffers = [][]byte{canary(2000)}
			}
			n, err := l.ReadBatch(got, 0)
			if !sound(t, err) {
				return false
			}
			got = got[:n]
		}
		for _, m := range got {
			p := m.Buffers[0]
			if string(p[:m.N]) != string(want[0]) {
				t.Errorf("%d bytes, want %d", m.N, len(want[0]))
				return false
			}
			for _, b := range p[m.N:] {
				if b != 0xEE {
					t.Error("bytes behind the datagram were touched")
					return false
				}
			}
			if m.Flags != 0 || m.Addr.String() != d.LocalAddr().String() {
				t.Errorf("flags %d, from %v", m.Flags, m.Addr)
				return false
			}
			want = want[1:]
		}
	}
	return true
}

// TestUDPBatchCut: what does not fit is cut off and said so, also when the kernel has joined the datagrams.
func TestUDPBatchCut(t *testing.T) {
	onEachUDP(t, func(t *testing.T, a udpAPI) {
		l, d := udpPair(t, a)
		withGRO(t, l)
		a.run(t, func() {
			var ms []Message
			for i := range 10 {
				ms = append(ms, Message{Buffers: [][]byte{numbered(i, 100)}})
			}
			_, err := d.WriteBatch(ms, 0)
			sound(t, err)
			for i := 0; i < 10; {
				got := make([]Message, 3)
				for j := range got {
					got[j].Buffers = [][]byte{make([]byte, 20), make([]byte, 10+80*(j%2))}
				}
				n, err := l.ReadBatch(got, 0)
				if !sound(t, err) {
					return
				}
				for j, m := range got[:n] {
					room := 30 + 80*(j%2)
					if m.N != min(room, 100) || (m.Flags&unix.MSG_TRUNC != 0) != (room < 100) {
						t.Errorf("datagram %d: %d bytes, flags %#x, room for %d", i, m.N, m.Flags, room)
					}
					if all := append(m.Buffers[0], m.Buffers[1]...); string(all[:m.N]) != string(numbered(i, 100)[:m.N]) {
						t.Errorf("datagram %d differs", i)
					}
					i++
				}
			}
		})
	})
}

// TestUDPBatchJoins counts system calls by what the kernel delivers: with segmentation a run is one message to it.
func TestUDPBatchJoins(t *testing.T) {
	onEachUDP(t, func(t *testing.T, a udpAPI) {
		_, d := udpPair(t, a)
		a.run(t, func() {
			if !d.segments(1200) {
				t.Log("the kernel has no UDP_SEGMENT")
				return
			}
			var ms []Message
			for i := range 200 {
				ms = append(ms, Message{Buffers: [][]byte{numbered(i, 1200)}})
			}
			ms[100].Buffers = [][]byte{numbered(100, 600)}
			b := batches.Get().(*batch)
			defer b.free()
			sound(t, d.fill(b, ms))
			const most = dgram.MaxPayload / 1200
			if want := []int{most, 101 - most, most, 99 - most}; fmt.Sprint(want) != fmt.Sprint(b.counts) {
				t.Errorf("runs of %v, want %v", b.counts, want)
			}
			for i, m := range b.msgs {
				if int(m.Hdr.Iovlen) != b.counts[i] || m.Hdr.Controllen == 0 {
					t.Errorf("message %d has %d vectors and %d bytes of control", i, m.Hdr.Iovlen, m.Hdr.Controllen)
				}
			}
		})
	})
}

// TestUDPBatchWithoutSegments: where a segmented send is refused the datagrams go apart. Larger ones than the MTU are
// refused, and then fragmented.
func TestUDPBatchWithoutSegments(t *testing.T) {
	onEachUDP(t, func(t *testing.T, a udpAPI) {
		l, d := udpPair(t, a)
		a.run(t, func() {
			const size = 30000
			var ms []Message
			for i := range 4 {
				ms = append(ms, Message{Buffers: [][]byte{numbered(i, size)}})
			}
			for round := range 2 {
				if round == 1 {
					d.gso.ready.Store(2)
				}
				n, err := d.WriteBatch(ms, 0)
				if !sound(t, err) || n != len(ms) {
					t.Error(n)
					return
				}
				buf := make([]byte, size+1)
				for i := range ms {
					n, err := l.Read(buf)
					if !sound(t, err) || string(buf[:n]) != string(numbered(i, size)) {
						t.Errorf("datagram %d differs: %d bytes", i, n)
						return
					}
				}
			}
			d.gso.ready.Store(0)
			d.gso.limit.Store(0)
			if !d.noSegments(syscall.EINVAL, 1200) || d.segments(1200) {
				t.Error("the limit is not kept")
			}
			if !d.noSegments(syscall.EIO, 100) || d.segments(100) {
				t.Error("the refusal is not kept")
			}
			if d.noSegments(syscall.ENOBUFS, 100) {
				t.Error("ENOBUFS has nothing to do with segments")
			}
		})
	})
}

func TestUDPBatchErrors(t *testing.T) {
	onEachUDP(t, func(t *testing.T, a udpAPI) {
		l, d := udpPair(t, a)
		a.run(t, func() {
			to := d.LocalAddr()
			good := Message{Buffers: [][]byte{[]byte("ok")}, Addr: to}
			for _, c := range []struct {
				name string
				conn *UDPConn
				ms   []Message
				n    int
				err  string
			}{
				{"no address", l, []Message{good, {Buffers: good.Buffers}}, 1, "missing address"},
				{"other type", l, []Message{good, {Buffers: good.Buffers, Addr: &TCPAddr{}}}, 1, "invalid argument"},
				{"other family", l, []Message{{Buffers: good.Buffers, Addr: &UDPAddr{IP: stdnet.IPv6loopback, Port: 1}}}, 0, "non-IPv4"},
				{"connected", d, []Message{good}, 0, "pre-connected"},
				{"too large", l, []Message{good, {Buffers: [][]byte{make([]byte, 65536)}, Addr: to}, good}, 1, "message too long"},
				{"none", l, nil, 0, "<nil>"},
			} {
				n, err := c.conn.WriteBatch(c.ms, 0)
				if n != c.n || !contains(fmt.Sprint(err), c.err) {
					t.Errorf("%s: %d, %v", c.name, n, err)
				}
				if _, ok := err.(*OpError); err != nil && !ok {
					t.Errorf("%s: %T", c.name, err)
				}
			}
			_, err := l.WriteBatch([]Message{good}, unix.MSG_DONTROUTE)
			if err == nil {
				t.Error("flags")
			}
			_, err = l.ReadBatch(make([]Message, 1), unix.MSG_PEEK)
			if err == nil {
				t.Error("flags")
			}
			sound(t, l.SetReadDeadline(time.Unix(1, 0)))
			if _, err = l.ReadBatch(make([]Message, 1), 0); err == nil || !err.(*OpError).Timeout() {
				t.Error(err)
			}
			sound(t, l.Close())
			for _, err := range []error{second(l.ReadBatch(make([]Message, 1), 0)), second(l.WriteBatch([]Message{good}, 0)), l.SetGRO(true)} {
				if oe, ok := err.(*OpError); !ok || oe.Err != ErrClosed {
					t.Errorf("after Close: %v", err)
				}
			}
		})
	})
}

func second[T any](_ T, err error) error { return err }

func contains(s, part string) bool {
	for i := range len(s) - len(part) + 1 {
		if s[i:i+len(part)] == part {
			return true
		}
	}
	return false
}

// TestUDPAheadKeepsDeadlines: the deadline counts before what was read ahead, as it does for what waits in the kernel.
func TestUDPAheadKeepsDeadlines(t *testing.T) {
	l, d := udpPair(t, ourUDP(&Stack{policy: modeRuntime}, false))
	withGRO(t, l)
	buf := make([]byte, 100)
	var err error
	require.Eventually(t, func() bool { // the Read may come before the kernel has delivered the second
		for i := range 3 {
			_, err = d.Write(numbered(i, 10))
			require.NoError(t, err)
		}
		_, err = l.Read(buf)
		require.NoError(t, err)
		if l.ahead.next < l.ahead.filled {
			return true
		}
		for range 2 {
			_, err = l.Read(buf)
			require.NoError(t, err)
		}
		return false
	}, time.Minute, time.Millisecond, "nothing was read ahead")
	require.NoError(t, l.SetReadDeadline(time.Unix(1, 0)))
	_, _, err = l.ReadFrom(buf)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, l.SetReadDeadline(time.Time{}))
	n, err := l.Read(buf)
	require.NoError(t, err)
	require.Equal(t, numbered(1, 10), buf[:n])
	require.NoError(t, l.Close())
	_, err = l.Read(buf)
	require.ErrorIs(t, err, ErrClosed)
}

// TestUDPMovesWithWhatItRead: what a goroutine has read ahead is not lost when a coroutine takes the socket to the engine.
func TestUDPMovesWithWhatItRead(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		a := ourUDP(On(e), true)
		l, d := udpPair(t, a)
		withGRO(t, l)
		const all = 300
		var ms []Message
		for i := range all {
			ms = append(ms, Message{Buffers: [][]byte{numbered(i, 500)}})
		}
		_, err := d.WriteBatch(ms, 0)
		require.NoError(t, err)
		buf := make([]byte, 1000)
		i := 0
		read := func() bool {
			n, err := l.Read(buf)
			ok := sound(t, err) && string(buf[:n]) == string(numbered(i, 500))
			if !ok {
				t.Errorf("datagram %d differs: %d bytes", i, n)
			}
			i++
			return ok
		}
		for i < 70 {
			require.True(t, read())
		}
		require.NotNil(t, l.ahead, "not read ahead")
		require.Less(t, l.ahead.next, l.ahead.filled, "nothing is left to move")
		a.run(t, func() {
			for i < all && read() {
			}
		})
		require.Equal(t, all, i)
		require.NotNil(t, l.pc.Load())
	})
}
