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
	require.NoError(t, raw.Control(func(fd uintptr) { came = arrives(int(fd), time.Minute) }))
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
	require.NoError(t, raw.Control(func(fd uintptr) { require.False(t, arrives(int(fd), trialTime)) }))
}

// A trial that comes to nothing is a no for the one who asked, and only a few of them are one for the process.
func TestTrialIsMadeAgain(t *testing.T) {
	trials := 0
	i := inheritance{try: func() (bool, error) {
		if trials++; trials < mostTrials {
			return true, unix.EMFILE
		}
		return true, nil
	}}
	for trials < mostTrials-1 {
		require.False(t, i.holds())
	}
	for range 3 {
		require.True(t, i.holds())
	}
	require.Equal(t, mostTrials, trials, "once it is known it is not tried any more")

	trials = 0
	i = inheritance{try: func() (bool, error) { trials++; return false, nil }}
	for range 3 {
		require.False(t, i.holds())
	}
	require.Equal(t, 1, trials)

	trials = 0
	i = inheritance{try: func() (bool, error) { trials++; return false, errNobodyCame }}
	for range 2 * mostTrials {
		require.False(t, i.holds())
	}
	require.Equal(t, mostTrials, trials)
}

// Want of descriptors tells nothing of the kernel.
func TestTrialWithoutDescriptors(t *testing.T) {
	if _, err := inherits(unix.IPPROTO_TCP); err != nil {
		t.Skip("no Multipath TCP: ", err)
	}
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	none := limit
	none.Cur = 3
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &none))
	_, err := inherits(unix.IPPROTO_TCP)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	require.ErrorIs(t, err, unix.EMFILE)
}
