//go:build linux

package reactorfallback

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/internal/optest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// TestMain fails the run when it leaves descriptors or goroutines behind.
func TestMain(m *testing.M) {
	// The Go runtime opens the descriptors of its poller once and keeps them.
	p, w, err := os.Pipe()
	if err == nil {
		err = p.SetReadDeadline(time.Now())
		p.Close()
		w.Close()
	}
	before := openFDs()
	code := m.Run()
	end := time.Now().Add(30 * time.Second)
	for leaks := goleak.Find(); err == nil && leaks != nil; leaks = goleak.Find() {
		if code != 0 || time.Now().After(end) {
			err = leaks
		}
	}
	after := openFDs()
	for code == 0 && after != before && time.Now().Before(end) { // the last is closed a moment behind who waits for it
		time.Sleep(time.Millisecond)
		after = openFDs()
	}
	if err == nil && code == 0 && after != before {
		err = fmt.Errorf("%d descriptors open before the tests, %d after", before, after)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func openFDs() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(d)
}

func newReactor(t testing.TB, b buffers.GroupConfig) op.Backend {
	r, err := New(Config{Buffers: b})
	require.NoError(t, err)
	return r
}

func TestContract(t *testing.T) { optest.Run(t, newReactor) }

// TestContractTight runs the suite where each bound is at its least, so that every continuation is taken.
func TestContractTight(t *testing.T) {
	optest.Run(t, func(t testing.TB, b buffers.GroupConfig) op.Backend {
		r, err := New(Config{Buffers: b, Events: 1, Burst: 1, IdleAfter: minIdleAfter})
		require.NoError(t, err)
		r.noPwait2 = true
		return r
	})
}

func BenchmarkEcho(b *testing.B) {
	for _, conns := range []int{1, 64, 1000} {
		b.Run(fmt.Sprint(conns), func(b *testing.B) { optest.BenchEcho(b, newReactor, conns) })
	}
}

// start makes a reactor for a test in this package, which closes it at the end.
func start(t *testing.T, c Config) *Reactor {
	r, err := New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// pair makes a connected pair of Unix stream sockets, closed at the end.
func pair(t *testing.T) (fd, peer int32) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return int32(p[0]), int32(p[1])
}

// tcpPair makes a TCP connection over the loopback, closed at the end.
func tcpPair(t *testing.T) (fd, peer int32) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(l)
	require.NoError(t, unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(l, 1))
	sa, err := unix.Getsockname(l)
	require.NoError(t, err)
	p, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(p) })
	require.NoError(t, unix.Connect(p, sa))
	require.NoError(t, unix.SetsockoptInt(p, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	f, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(f) })
	return int32(f), int32(p)
}

// done calls itself for each completion.
type done func(o *op.Op, c *op.Completion)

func (d done) Complete(o *op.Op, c *op.Completion) { d(o, c) }

func poll(t *testing.T, r *Reactor, wait time.Duration) int {
	n, err := r.Poll(wait)
	require.NoError(t, err)
	return n
}
