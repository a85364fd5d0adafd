//go:build linux

package net

import (
	"context"
	"fmt"
	"math"
	stdnet "net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/proactor"
)

// TestUDPRaw compares raw access, also of sockets that were on the engine before it was asked for.
func TestUDPRaw(t *testing.T) {
	program := func(t *testing.T, a udpAPI) (lines []string) {
		l, err := a.listen("udp4", &UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		defer l.Close()
		d, err := a.dial("udp4", nil, l.LocalAddr().(*UDPAddr))
		require.NoError(t, err)
		defer d.Close()
		note := func(what string, v ...any) { lines = append(lines, fmt.Sprintln(append([]any{what}, v...)...)) }
		a.run(t, func() {
			buf := make([]byte, 100)
			// Uses that take the sockets to the engine, where that is meant; the first has the engine receive.
			past := time.Unix(1, 0)
			_ = l.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, _, err := l.ReadFrom(buf)
			note("nothing", timeout(err))
			_, err = d.Write([]byte("hello"))
			note("written", err)
			_ = l.SetReadDeadline(time.Now().Add(hangs))
			n, _, err := l.ReadFrom(buf)
			note("read", string(buf[:n]), err)

			raw, err := l.SyscallConn()
			note("raw", err)
			note("control", raw.Control(func(fd uintptr) {
				v, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
				note("type", v, err)
			}))
			receive := func() {
				n := 0
				var failed error
				err := raw.Read(func(fd uintptr) bool {
					n, _, failed = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
					return failed != unix.EAGAIN
				})
				note("raw read", string(buf[:max(n, 0)]), failed, err)
			}
			_ = l.SetReadDeadline(past)
			err = raw.Read(func(uintptr) bool { return false })
			note("past", timeout(err), opOf(err))
			_ = l.SetReadDeadline(time.Now().Add(hangs))
			for range 2 {
				_, err = d.Write([]byte("for raw"))
				note("written", err)
				receive()
				_, err = d.Write([]byte("for ReadFrom"))
				note("written", err)
				n, from, err := l.ReadFrom(buf)
				note("read", string(buf[:n]), from.String() == d.LocalAddr().String(), err)
			}
			rd, err := d.SyscallConn()
			note("raw", err)
			var failed error
			err = rd.Write(func(fd uintptr) bool {
				failed = unix.Sendto(int(fd), []byte("raw write"), unix.MSG_DONTWAIT, nil)
				return failed != unix.EAGAIN
			})
			note("raw write", failed, err)
			receive()
			note("closed", l.Close())
			note("after", opOf(raw.Read(func(uintptr) bool { return true })), opOf(raw.Write(func(uintptr) bool { return true })),
				opOf(raw.Control(func(uintptr) {})))
		})
		return lines
	}
	want := program(t, stdUDP())
	onEachUDP(t, func(t *testing.T, a udpAPI) { require.Equal(t, want, program(t, a)) })
}

// timeout tells whether err is of a deadline.
func timeout(err error) bool {
	e, ok := err.(stdnet.Error)
	return ok && e.Timeout()
}

// opOf is what an *OpError says but for the ports.
func opOf(err error) string {
	e, ok := err.(*OpError)
	if !ok {
		return fmt.Sprintf("%T %v", err, err)
	}
	return fmt.Sprint(e.Op, " ", e.Net, " ", e.Source != nil, e.Addr != nil, " ", e.Err)
}

// TestUDPContext: reads and writes with a context.
func TestUDPContext(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		l := localUDP(t, s)
		d, err := s.DialUDP("udp4", nil, l.LocalAddr().(*UDPAddr))
		require.NoError(t, err)
		defer d.Close()
		ctx, cancel := context.WithCancel(t.Context())
		n, err := d.WriteContext(ctx, []byte("hello"))
		require.NoError(t, err)
		require.Equal(t, 5, n)
		b := make([]byte, 10)
		n, from, err := l.ReadFromUDPAddrPortContext(ctx, b)
		require.NoError(t, err)
		require.Equal(t, "hello", string(b[:n]))
		require.Equal(t, d.LocalAddr().String(), from.String())
		ended := make(chan error, 1)
		go func() { _, err := d.ReadContext(ctx, b); ended <- err }()
		cancel()
		err = <-ended
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, "read", err.(*OpError).Op)
		_, err = d.WriteContext(ctx, b)
		require.ErrorIs(t, err, context.Canceled)

		pinned := localUDP(t, s)
		_, err = pinned.SyscallConn()
		require.NoError(t, err)
		_, err = pinned.ReadContext(t.Context(), b)
		require.ErrorIs(t, err, errExposed)
		_, err = new(UDPConn).ReadContext(t.Context(), b)
		require.ErrorIs(t, err, syscall.EINVAL)
	})
}

// TestUDPReadAllocations: an address that the caller drops takes no more memory than with the standard library.
func TestUDPReadAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop what they hold at random with the race detector")
	}
	count := func(c interface {
		WriteTo([]byte, Addr) (int, error)
		ReadFromUDP([]byte) (int, *UDPAddr, error)
		LocalAddr() Addr
	}, read func([]byte) error) float64 {
		to, b := c.LocalAddr(), make([]byte, 8)
		least := math.Inf(1) // what other goroutines allocate meanwhile counts too
		for range 3 {
			least = min(least, testing.AllocsPerRun(1000, func() {
				_, err := c.WriteTo(b, to)
				require.NoError(t, err)
				require.NoError(t, read(b))
			}))
		}
		return least
	}
	std, err := stdnet.ListenUDP("udp4", &UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer std.Close()
	ours := localUDP(t, defaultStack)
	want := count(std, func(b []byte) error { _, _, err := std.ReadFromUDP(b); return err })
	got := count(ours, func(b []byte) error { _, _, err := ours.ReadFromUDP(b); return err })
	require.Equal(t, int(want), int(got))
}
