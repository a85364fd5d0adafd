//go:build linux

package proactor

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hangs guards against a test that would never end.
const hangs = 30 * time.Second

// eventually waits for what must come, and for nothing else.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(hangs); !is(); time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), "it never comes: %s", what)
	}
}

// within returns what c brings.
func within[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(hangs):
		t.Fatal("waited in vain")
	}
	return v
}

// serve has h serve a new listener of e.
func serve(t *testing.T, e *Engine, h Handler) *net.TCPListener {
	l := listen(t)
	a, err := e.Serve(l, h)
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return l
}

// pair returns a connection of e, which nobody serves, and its peer, an ordinary one.
func pair(t testing.TB, e *Engine) (*Conn, *net.TCPConn) {
	t.Helper()
	l := listen(t)
	conns := make(chan *Conn, 1)
	a, err := e.Accept(l, func(c *Conn) { conns <- c })
	require.NoError(t, err)
	peer := dial(t, l).(*net.TCPConn)
	c := within(t, conns)
	require.NoError(t, a.Close())
	t.Cleanup(func() { _ = c.Close() })
	return c, peer
}

// reset has c's peer see a reset.
func reset(t testing.TB, c net.Conn) {
	require.NoError(t, c.(*net.TCPConn).SetLinger(0))
	require.NoError(t, c.Close())
}

// bytesFrom is n bytes that differ from place to place.
func bytesFrom(seed, n int) []byte {
	p := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

// skewed is the system's monotonic clock plus what a test has added.
type skewed struct {
	began time.Time
	extra atomic.Int64
}

func newSkewed() *skewed { return &skewed{began: time.Now().Add(-time.Second)} }

func (s *skewed) Now() int64          { return int64(time.Since(s.began)) + s.extra.Load() }
func (*skewed) Sleep(d time.Duration) { time.Sleep(d) }

// unwatched is the system's monotonic clock, on which the executor's monitor sleeps until the test is over: nothing is handed
// over, however long a task is kept off the CPU.
type unwatched struct {
	*skewed
	over chan struct{}
}

func newUnwatched() *unwatched { return &unwatched{newSkewed(), make(chan struct{})} }

func (u *unwatched) Sleep(time.Duration) { <-u.over }

// told collects what an engine tells its operator.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (l *told) add(s string) {
	l.mu.Lock()
	l.lines = append(l.lines, s)
	l.mu.Unlock()
}

func (l *told) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}
