package proactor

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
)

// hangs guards against a test that would never end.
const hangs = 30 * time.Second

// eventually waits for what must come, and for nothing else.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(hangs); !is(); time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), "it never comes: %s", what)
	}
}

// within returns what c brings.
func within[T any](t *testing.T, c <-chan T) (v T) {
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

// run has f serve each connection of a new listener of e on a coroutine, and closes what it leaves.
func run(t *testing.T, e *Engine, f func(*Conn)) *net.TCPListener {
	l := listen(t)
	a, err := e.Accept(l, func(c *Conn) {
		_ = c.Start(func() { f(c) }, func(error) { _ = c.Close() }, false)
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return l
}

// accepted returns one connection of e, which nobody serves, and its peer.
func accepted(t *testing.T, e *Engine) (*Conn, *net.TCPConn) {
	got := make(chan *Conn, 1)
	l := listen(t)
	a, err := e.Accept(l, func(c *Conn) { got <- c })
	require.NoError(t, err)
	defer a.Close()
	peer := dial(t, l).(*net.TCPConn)
	c := within(t, got)
	t.Cleanup(func() { _ = c.Close() })
	return c, peer
}

func echoBack(c *Conn, l buffers.Lease) { _ = c.Send(l) }

func echoes(c *Conn) {
	p := make([]byte, 4096)
	for {
		n, err := c.Read(p)
		if err != nil {
			return
		}
		if _, err := c.Write(p[:n]); err != nil {
			return
		}
	}
}

// servedFaces are the ways to serve echo.
var servedFaces = map[string]func(t *testing.T, e *Engine) *net.TCPListener{
	"callbacks":  func(t *testing.T, e *Engine) *net.TCPListener { return serve(t, e, Handler{OnData: echoBack}) },
	"coroutines": func(t *testing.T, e *Engine) *net.TCPListener { return run(t, e, echoes) },
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

// sentBy sends data and closes the writing side, on a goroutine of its own.
func sentBy(c *net.TCPConn, data []byte) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		if err == nil {
			err = c.CloseWrite()
		}
		done <- err
	}()
	return done
}

// skewed is the system's monotonic clock plus what a test has added.
type skewed struct {
	began time.Time
	extra atomic.Int64
}

func newSkewed() *skewed { return &skewed{began: time.Now().Add(-time.Second)} }

func (s *skewed) Now() int64          { return int64(time.Since(s.began)) + s.extra.Load() }
func (*skewed) Sleep(d time.Duration) { time.Sleep(d) }

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

func over(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
