//go:build linux

package ringbackend

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// kernelThreads counts the kernel's worker threads of this process, by name: they are called after the thread that submitted.
// An idle one stays for seconds, so none is missed between looks.
func kernelThreads(t *testing.T) map[string]int {
	tasks, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	count := make(map[string]int)
	for _, task := range tasks {
		name, err := os.ReadFile("/proc/self/task/" + task.Name() + "/comm")
		if err == nil && strings.HasPrefix(string(name), "iou-wrk-") {
			count[string(name)]++
		}
	}
	return count
}

// newKernelThreads is the largest number of kernel threads that one thread has, of those that had none before. The rings
// of other tests may still begin or end theirs meanwhile.
func newKernelThreads(t *testing.T, before map[string]int) (most int) {
	for name, n := range kernelThreads(t) {
		if before[name] == 0 {
			most = max(most, n)
		}
	}
	return most
}

// onFreshThread runs f on a thread that has submitted nothing before, and that ends with it, and with it its kernel threads.
func onFreshThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		f()
	}()
	<-done
}

// Operations that only a thread can do: 256 at once have no more of them than FileThreads says.
func TestFileThreadsAreBounded(t *testing.T) {
	const most = 2
	onFreshThread(func() {
		before := kernelThreads(t)
		b := open(t, Config{FileThreads: most})
		defer func() { require.NoError(t, b.Close()) }()
		name := filepath.Join(t.TempDir(), "file")
		f, err := os.Create(name)
		require.NoError(t, err)
		defer f.Close()
		proc, err := os.Open("/proc/self/smaps") // no file that could be asked not to wait
		require.NoError(t, err)
		defer proc.Close()
		var all []*results
		for i := range 256 {
			r := &results{Op: op.Op{Kind: op.Fsync, FD: int32(f.Fd())}}
			if i%2 == 1 {
				r.Op = op.Op{Kind: op.Read, FD: int32(proc.Fd()), Buf: make([]byte, 4096)}
			}
			r.Done = r
			require.NoError(t, b.Submit(&r.Op))
			all = append(all, r)
		}
		peak := 0
		for _, r := range all {
			await(t, b, func() bool {
				peak = max(peak, newKernelThreads(t, before))
				return r.last
			})
			require.Zero(t, r.got[0].Errno)
		}
		t.Logf("%d kernel threads for %d operations", peak, len(all))
		if peak == 0 {
			t.Log("they had all ended before anybody looked, so the bound was not tried") // as in a guest on 6.1
		}
		require.LessOrEqual(t, peak, most)
	})
}

// Reads of a pipe wait without any thread, however many.
func TestPipesTakeNoThreads(t *testing.T) {
	onFreshThread(func() {
		before := kernelThreads(t)
		b := open(t, Config{FileThreads: 2})
		var all []*results
		var ends [][2]int
		for range 256 {
			var p [2]int
			require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
			ends = append(ends, p)
			r := &results{Op: op.Op{Kind: op.Read, FD: int32(p[0]), Buf: make([]byte, 4), Off: -1}}
			r.Done = r
			require.NoError(t, b.Submit(&r.Op))
			all = append(all, r)
		}
		_, err := b.Poll(0)
		require.NoError(t, err)
		require.Equal(t, 256, b.InFlight())
		require.LessOrEqual(t, newKernelThreads(t, before), 2)
		for i, p := range ends {
			_, err := unix.Write(p[1], []byte("data"))
			require.NoError(t, err)
			await(t, b, func() bool { return all[i].last })
			require.EqualValues(t, 4, all[i].got[0].Result)
		}
		require.LessOrEqual(t, newKernelThreads(t, before), 2)
		require.NoError(t, b.Close())
		for _, p := range ends {
			require.NoError(t, unix.Close(p[0]))
			require.NoError(t, unix.Close(p[1]))
		}
	})
}
