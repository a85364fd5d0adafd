//go:build linux

package reactorfallback

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestLoopRegistersOnce: events cost no system call besides epoll_wait. The generation tells of each epoll_ctl.
func TestLoopRegistersOnce(t *testing.T) {
	l := newLoop(t)
	a, b := loopPair(t)
	p, calls := make([]byte, 1), 0
	g, err := l.Watch(a, Readable, func(g *Registration, _ Events) {
		_, err := unix.Read(a, p)
		require.NoError(t, err)
		g.Set(Readable)
		if calls++; calls == 100 {
			l.Stop()
			return
		}
		_, err = unix.Write(b, p)
		require.NoError(t, err)
	})
	require.NoError(t, err)
	gen := g.file.gen
	_, err = unix.Write(b, p)
	require.NoError(t, err)
	runLoop(t, l)
	require.Equal(t, 100, calls)
	require.Equal(t, gen, g.file.gen)
	require.Zero(t, testing.AllocsPerRun(10, func() { g.deliver(0) }))
}

// TestLoopSetInABatch: what was reported together with something else, whose handler takes the interest back, is not told.
func TestLoopSetInABatch(t *testing.T) {
	l := newLoop(t)
	var pairs [2][2]int
	var gs [2]*Registration
	told := 0
	for i := range pairs {
		pairs[i][0], pairs[i][1] = loopPair(t)
		_, err := unix.Write(pairs[i][1], []byte{1})
		require.NoError(t, err)
		gs[i], err = l.Watch(pairs[i][0], Readable, func(*Registration, Events) {
			told++
			gs[0].Set(0)
			gs[1].Set(0)
			_ = l.Post(func() { _ = l.Post(l.Stop) })
		})
		require.NoError(t, err)
	}
	runLoop(t, l)
	require.Equal(t, 1, told)
	gs[0].Set(Readable) // level-triggered: it still holds
	runLoop(t, l)
	require.Equal(t, 2, told)
}

// TestLoopRegularFile: it is always ready for what it is watched for, and for nothing else.
func TestLoopRegularFile(t *testing.T) {
	l := newLoop(t)
	f, err := os.Create(t.TempDir() + "/x")
	require.NoError(t, err)
	defer f.Close()
	fd := int(f.Fd())
	var log []Events
	ended := false
	g, err := l.Watch(fd, Readable|Writable, func(g *Registration, ready Events) {
		log = append(log, ready)
		switch len(log) {
		case 2:
			g.Set(Writable)
		case 4:
			g.Set(0)
			l.Stop()
		case 5:
			g.Close(func() { ended = true; l.Stop() })
		}
	})
	require.NoError(t, err)
	runLoop(t, l)
	require.Equal(t, []Events{Readable | Writable, Readable | Writable, Writable, Writable}, log)
	require.NoError(t, l.Post(l.Stop))
	runLoop(t, l)
	require.Len(t, log, 4)
	g.Set(Readable)
	runLoop(t, l)
	require.Len(t, log, 5)
	require.True(t, ended)
	require.Empty(t, l.always)
}

// TestLoopClosedBehindItsBack: who closes a descriptor that is watched learns of it when he changes his interest, and the
// number can be watched again after Close.
func TestLoopClosedBehindItsBack(t *testing.T) {
	l := newLoop(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fds[1])
	var log []Events
	g, err := l.Watch(fds[0], Readable, func(g *Registration, ready Events) {
		log = append(log, ready)
		g.Close(l.Stop)
	})
	require.NoError(t, err)
	require.NoError(t, unix.Close(fds[0]))
	g.Set(Writable)
	runLoop(t, l)
	require.Equal(t, []Events{Failed}, log)
	fd, err := unix.FcntlInt(uintptr(fds[1]), unix.F_DUPFD_CLOEXEC, fds[0])
	require.NoError(t, err)
	defer unix.Close(fd)
	_, err = l.Watch(fd, Writable, func(g *Registration, ready Events) {
		log = append(log, ready)
		g.Close(l.Stop)
	})
	require.NoError(t, err)
	runLoop(t, l)
	require.Len(t, log, 2)
	require.NotZero(t, log[1]&Writable)
}
