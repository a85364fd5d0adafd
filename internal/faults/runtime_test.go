//go:build linux

package faults

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Threads end while operations that were begun on them are in flight: the kernel cancels those, and nobody must notice.
func TestThreadsDie(t *testing.T) {
	onEachBackend(t, nil, func(t *testing.T, r *rig) {
		stop := traffic(t, r, 4)
		threads := map[int]bool{}
		var mu sync.Mutex
		for i := range 40 {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
					mu.Lock()
					threads[unix.Gettid()] = true
					mu.Unlock()
					c, err := r.stack.Dial("tcp", r.relay.Addr().String())
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					if err := exchange(c, uint64(i), 2_000); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		stop()
		require.Eventually(t, func() bool {
			for tid := range threads {
				if _, err := os.Stat("/proc/self/task/" + strconv.Itoa(tid)); os.IsNotExist(err) {
					return true
				}
			}
			return false
		}, time.Minute, time.Millisecond, "no thread has ended: the test tests nothing")
	})
}

// Processors come and go.
func TestProcessorsChange(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	onEachBackend(t, nil, func(t *testing.T, r *rig) {
		stop := traffic(t, r, 6)
		for range 20 {
			for _, n := range []int{1, 4, 2, 8, 1, 3} {
				runtime.GOMAXPROCS(n)
				require.NoError(t, exchangeAt(r.relay, 1, 1_000))
			}
		}
		stop()
	})
}

// The collector runs all the time, and stacks grow and move between each two operations.
func TestMemoryPressure(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	var depth atomic.Int64
	grow := func() { touch(int(depth.Add(37)%200) + 1) }
	onEachBackend(t, grow, func(t *testing.T, r *rig) {
		stop := traffic(t, r, 6)
		var garbage [20][]byte
		for i := range 200 {
			garbage[i%len(garbage)] = make([]byte, 64<<10)
			if i%20 == 0 {
				runtime.GC()
				debug.FreeOSMemory()
			}
			if i%10 == 0 {
				require.NoError(t, exchangeAt(r.relay, 2, 5_000))
			}
		}
		stop()
		runtime.KeepAlive(&garbage)
	})
}

// touch uses about a KiB of stack per level.
func touch(depth int) byte {
	var b [1024]byte
	b[depth%len(b)] = byte(depth)
	if depth > 0 {
		return touch(depth-1) + b[depth%len(b)]
	}
	return b[0]
}

// Signals interrupt every thread all the time, those in the kernel too: a call that is cut short goes on.
func TestSignalStorm(t *testing.T) {
	onEachBackend(t, nil, func(t *testing.T, r *rig) {
		stop := traffic(t, r, 4)
		var sent atomic.Int64
		var ended atomic.Bool
		var storm sync.WaitGroup
		storm.Go(func() {
			for !ended.Load() {
				tasks, err := os.ReadDir("/proc/self/task")
				if err != nil {
					t.Error(err)
					return
				}
				for _, task := range tasks {
					tid, _ := strconv.Atoi(task.Name())
					// The runtime's own signal, whose handler takes stray ones, and one that it ignores here.
					for _, s := range []unix.Signal{unix.SIGURG, unix.SIGPIPE} {
						if unix.Tgkill(unix.Getpid(), tid, s) == nil {
							sent.Add(1)
						}
					}
				}
				runtime.Gosched()
			}
		})
		begin := time.Now()
		for i := 0; i < 30 || sent.Load() <= 1000; i++ {
			require.NoError(t, exchangeAt(r.relay, uint64(i), 20_000))
			require.Less(t, time.Since(begin), hangs, "not much of a storm")
		}
		ended.Store(true)
		storm.Wait()
		stop()
	})
}
