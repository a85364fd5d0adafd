//go:build linux

package net

import (
	stdnet "net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkUDPBulk sends datagrams of 1,200 bytes from one goroutine to another, a window of 64 at a time, so that none
// is lost, and reports the CPU of both ends together. Run it with -count to have the ways interleaved:
//
//	go test -run - -bench UDPBulk -count 5 ./net
func BenchmarkUDPBulk(b *testing.B) {
	const size, window = 1200, 64
	s := &Stack{policy: modeRuntime}
	type bench struct {
		name string
		api  udpAPI
		gro  bool
		send func(c udpConn, p []byte, n int) error
		recv func(c udpConn, n int) error
	}
	one := func(c udpConn, p []byte, n int) error {
		for range n {
			if _, err := c.Write(p); err != nil {
				return err
			}
		}
		return nil
	}
	oneIn := func(c udpConn, n int) error {
		buf := make([]byte, 2000)
		for range n {
			if _, _, err := c.ReadFromUDPAddrPort(buf); err != nil {
				return err
			}
		}
		return nil
	}
	var out []Message
	many := func(c udpConn, p []byte, n int) error {
		for len(out) < n {
			out = append(out, Message{Buffers: [][]byte{p}})
		}
		_, err := c.(*UDPConn).WriteBatch(out[:n], 0)
		return err
	}
	in := make([]Message, window)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 2000)}
	}
	manyIn := func(c udpConn, n int) error {
		for n > 0 {
			m, err := c.(*UDPConn).ReadBatch(in[:min(n, window)], 0)
			if err != nil {
				return err
			}
			n -= m
		}
		return nil
	}
	for _, x := range []bench{
		{"std", stdUDP(), false, one, oneIn},
		{"ouro", ourUDP(s, false), false, one, oneIn},
		{"batches", ourUDP(s, false), false, many, manyIn},
		{"batches+gro", ourUDP(s, false), true, many, manyIn},
		{"gro, read singly", ourUDP(s, false), true, many, oneIn},
	} {
		b.Run(x.name, func(b *testing.B) {
			l, err := x.api.listen("udp4", &UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
			require.NoError(b, err)
			defer l.Close()
			require.NoError(b, l.SetReadBuffer(1<<20))
			d, err := x.api.dial("udp4", nil, l.LocalAddr().(*UDPAddr))
			require.NoError(b, err)
			defer d.Close()
			if x.gro {
				if err := l.(*UDPConn).SetGRO(true); err != nil {
					b.Skip(err)
				}
			}
			more, ended := make(chan int, 1), make(chan error, 1)
			go func() {
				for n := range more {
					ended <- x.recv(l, n)
				}
			}()
			p := make([]byte, size)
			began := cpuTime()
			b.SetBytes(size)
			b.ResetTimer()
			for left := b.N; left > 0; {
				n := min(left, window)
				left -= n
				more <- n
				require.NoError(b, x.send(d, p, n))
				require.NoError(b, <-ended)
			}
			b.StopTimer()
			close(more)
			b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
		})
	}
	runtime.KeepAlive(out)
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
