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

// A signal that comes while the trial waits, as the runtime and profilers send them, does not decide it for the process.
func TestTrialOutlastsSignals(t *testing.T) {
	l, err := stdnet.ListenTCP("tcp4", &stdnet.TCPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer l.Close()
	raw, err := l.SyscallConn()
	require.NoError(t, err)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := unix.Gettid()
	done := make(chan error, 1)
	go func() {
		for range 10 {
			time.Sleep(2 * time.Millisecond)
			_ = unix.Tgkill(unix.Getpid(), thread, unix.SIGURG)
		}
		c, err := stdnet.Dial("tcp4", l.Addr().String())
		if err == nil {
			defer c.Close()
		}
		done <- err
	}()
	came := false
	require.NoError(t, raw.Control(func(fd uintptr) { came = arrives(int(fd)) }))
	require.NoError(t, <-done)
	require.True(t, came)
}

// Where nobody comes, the wait ends.
func TestTrialEnds(t *testing.T) {
	l, err := stdnet.ListenTCP("tcp4", &stdnet.TCPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer l.Close()
	raw, err := l.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { require.False(t, arrives(int(fd))) }))
}
