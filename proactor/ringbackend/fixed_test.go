//go:build linux

package ringbackend

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

// results collects an operation's completions.
type results struct {
	op.Op
	got  []op.Completion
	last bool
}

func (r *results) Complete(_ *op.Op, c *op.Completion) {
	r.got, r.last = append(r.got, *c), !c.More
}

func do(t *testing.T, b *Backend, o op.Op) *results {
	r := &results{Op: o}
	r.Done = r
	require.NoError(t, b.Submit(&r.Op))
	await(t, b, func() bool { return r.last })
	return r
}

func await(t *testing.T, b *Backend, done func() bool) {
	for end := time.Now().Add(20 * time.Second); !done(); {
		require.True(t, time.Now().Before(end), "hangs")
		_, err := b.Poll(100 * time.Millisecond)
		require.NoError(t, err)
	}
}

func fixedPool(t *testing.T, small bool) *buffers.Pool {
	p, err := buffers.NewPool(buffers.PoolConfig{Fixed: true, MaxBytes: 4 << 20, SmallPages: small})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// Reads, writes and sends without a copy use registered memory where theirs is that, and give the same results; every ring that
// may do them, restricted or not.
func TestFixed(t *testing.T) {
	for _, restrict := range []Restrict{RestrictUsed, RestrictSockets, RestrictNone} {
		pool := fixedPool(t, restrict != RestrictNone)
		b := open(t, Config{Fixed: pool, Restrict: restrict})
		l, err := pool.Get(100_000)
		require.NoError(t, err)
		for i := range l.Bytes() {
			l.Bytes()[i] = byte(i * 7)
		}
		want := bytes.Clone(l.Bytes())
		used := uint64(0)
		if restrict != RestrictSockets {
			f, err := os.Create(filepath.Join(t.TempDir(), "file"))
			require.NoError(t, err)
			fd := int32(f.Fd())
			r := do(t, b, op.Op{Kind: op.Write, FD: fd, Buf: l.Bytes()})
			require.EqualValues(t, 100_000, r.got[0].Result)
			clear(l.Bytes())
			r = do(t, b, op.Op{Kind: op.Read, FD: fd, Buf: l.Bytes()[1000:50_000], Off: 1000})
			require.EqualValues(t, 49_000, r.got[0].Result)
			require.Equal(t, want[1000:50_000], l.Bytes()[1000:50_000])
			require.Zero(t, l.Bytes()[999])
			require.Zero(t, l.Bytes()[50_000])
			copy(l.Bytes(), want)
			require.Equal(t, syscall.EBADF, do(t, b, op.Op{Kind: op.Read, FD: 1 << 20, Buf: l.Bytes()}).got[0].Errno)
			used += 3
			heap := make([]byte, 4096)
			require.EqualValues(t, 4096, do(t, b, op.Op{Kind: op.Read, FD: fd, Buf: heap}).got[0].Result)
			require.Equal(t, want[:4096], heap)
			require.NoError(t, f.Close())
			require.Equal(t, used, b.Stats().Fixed)
		}
		from, to := tcpPair(t)
		sent := do(t, b, op.Op{Kind: op.SendZC, FD: int32(from), Buf: l.Bytes()[100:60_100]})
		if sent.got[0].Errno == syscall.EOPNOTSUPP || sent.got[0].Errno == syscall.EINVAL {
			t.Log("no sends without a copy here")
		} else {
			require.EqualValues(t, 60_000, sent.got[0].Result)
			got := make([]byte, 60_000)
			for n := 0; n < len(got); {
				m, err := unix.Read(to, got[n:])
				require.NoError(t, err)
				require.Positive(t, m)
				n += m
			}
			require.True(t, bytes.Equal(want[100:60_100], got))
			require.Equal(t, restrict != RestrictNone, b.Stats().Fixed > used, "sends only from small pages")
		}
		require.EqualValues(t, buffers.FixedChunk, b.Stats().FixedBytes)
		require.Empty(t, b.FixedReason())
		require.NoError(t, b.Close())
		l.Release()
	}
}

// tcpPair is a connected pair, of which the second end blocks.
func tcpPair(t *testing.T) (int, int) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(l)
	require.NoError(t, unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(l, 1))
	to, err := unix.Getsockname(l)
	require.NoError(t, err)
	a, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Connect(a, to))
	b, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() {
		unix.Close(a)
		unix.Close(b)
	})
	return a, b
}

// A backend that closes with operations in flight on registered memory awaits them.
func TestFixedClose(t *testing.T) {
	pool := fixedPool(t, true)
	b := open(t, Config{Fixed: pool})
	l, err := pool.Get(1 << 20)
	require.NoError(t, err)
	from, to := tcpPair(t)
	drained := make(chan struct{})
	go func() { // what nobody takes would stay in use
		defer close(drained)
		for p := make([]byte, 64<<10); ; {
			if n, err := unix.Read(to, p); n <= 0 || err != nil {
				return
			}
		}
	}()
	defer func() { <-drained }()
	defer unix.Shutdown(from, unix.SHUT_RDWR)
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, make([]byte, 1<<20), 0o600))
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		fd, err = unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	require.NoError(t, err)
	var all []*results
	for i := range 64 {
		r := &results{Op: op.Op{Kind: op.Read, FD: int32(fd), Buf: l.Bytes()[i*4096:][:4096], Off: int64(i) * 4096}}
		if i%8 == 0 {
			r.Op = op.Op{Kind: op.SendZC, FD: int32(from), Buf: l.Bytes()[:100_000]}
		}
		r.Done = r
		require.NoError(t, b.Submit(&r.Op))
		all = append(all, r)
	}
	_, err = b.Poll(0)
	require.NoError(t, err)
	require.NoError(t, b.Close())
	for _, r := range all {
		require.True(t, r.last, "no terminal completion")
	}
	require.NoError(t, unix.Close(fd))
	l.Release()
}
