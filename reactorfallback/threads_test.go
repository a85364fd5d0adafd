//go:build linux

package reactorfallback

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

type counted struct {
	op.Op
	n    int32
	done bool
}

func (c *counted) Complete(_ *op.Op, r *op.Completion) { c.n, c.done = r.Result, !r.More }

// callers counts the goroutines that make system calls for operations on files.
func callers() int {
	p := make([]byte, 8<<20)
	return strings.Count(string(p[:runtime.Stack(p, true)]), "reactorfallback.(*filePool).run(")
}

// 256 reads that all wait for somebody else have FileThreads goroutines, and so threads, and no more; each ends with its
// own data.
func TestFileThreadsAreBounded(t *testing.T) {
	const most = 4
	r, err := New(Config{FileThreads: most})
	require.NoError(t, err)
	var all []*counted
	var ends [][2]int
	for range 256 {
		var p [2]int
		require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
		ends = append(ends, p)
		c := &counted{Op: op.Op{Kind: op.Read, FD: int32(p[0]), Buf: make([]byte, 8), Off: -1}}
		c.Done = c
		require.NoError(t, r.Submit(&c.Op))
		all = append(all, c)
	}
	_, err = r.Poll(0)
	require.NoError(t, err)
	// The goroutines are started; they need not have run yet. None ends before something is written.
	require.Eventually(t, func() bool { return callers() == most }, 30*time.Second, time.Millisecond)
	for i, p := range ends {
		_, err := unix.Write(p[1], []byte("12345678")[:1+i%8])
		require.NoError(t, err)
	}
	left := len(all)
	for end := time.Now().Add(30 * time.Second); left > 0; {
		require.True(t, time.Now().Before(end), "%d reads hang", left)
		require.LessOrEqual(t, callers(), most)
		n, err := r.Poll(time.Second)
		require.NoError(t, err)
		left -= n
	}
	for i, c := range all {
		require.True(t, c.done)
		require.EqualValues(t, 1+i%8, c.n)
	}
	require.NoError(t, r.Close())
	require.Eventually(t, func() bool { return callers() == 0 }, 30*time.Second, time.Millisecond)
	for _, p := range ends {
		require.NoError(t, unix.Close(p[0]))
		require.NoError(t, unix.Close(p[1]))
	}
}
