//go:build linux

package ringbackend

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/op"
)

// refused runs f on a thread whose calls of io_uring_enter are refused with errno.
func refused(t *testing.T, errno syscall.Errno, f func()) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its filter
		err := denytest.Thread(errno, unix.SYS_IO_URING_ENTER)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Skip(err)
	}
}

// counter counts completions.
type counter struct{ ended, cancelled int }

func (c *counter) Complete(o *op.Op, r *op.Completion) {
	if !r.More {
		c.ended++
	}
	if r.Errno == syscall.ECANCELED {
		c.cancelled++
	}
}

// Operations and cancels that meet a full submission queue, while the kernel takes no entries, wait for it to take
// some: each is accepted, none is lost, and no cancel overtakes its operation.
func TestKernelTakesNothing(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EAGAIN, syscall.EBUSY} {
		t.Run(errno.Error(), func(t *testing.T) {
			b := open(t, Config{Entries: 2})
			defer func() { require.NoError(t, b.Close()) }()
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			defer unix.Close(fds[0])
			defer unix.Close(fds[1])

			const nops = 50
			var c counter
			recv := op.Op{Kind: op.Recv, FD: int32(fds[0]), Done: &c}
			var submits, polls []error
			refused(t, errno, func() {
				for range nops {
					submits = append(submits, b.Submit(&op.Op{Kind: op.Nop, Done: &c}))
				}
				submits = append(submits, b.Submit(&recv))
				b.Cancel(&recv)
				for range 3 { // neither a failure nor a wait without end
					_, err := b.Poll(0)
					polls = append(polls, err)
				}
			})
			for _, err := range append(submits, polls...) {
				require.NoError(t, err)
			}
			require.Zero(t, c.ended, "the kernel has been told nothing yet")
			require.Equal(t, nops+1, b.InFlight())
			for c.ended < nops+1 {
				_, err := b.Poll(time.Second)
				require.NoError(t, err)
			}
			require.Equal(t, 1, c.cancelled)
			require.Zero(t, b.InFlight())
		})
	}
}

// A wait while the kernel refuses must neither fail nor keep the processor busy.
func TestWaitWhileRefused(t *testing.T) {
	b := open(t, Config{})
	defer func() { require.NoError(t, b.Close()) }()
	var c counter
	var err error
	var before, after op.Stats
	refused(t, syscall.EAGAIN, func() {
		require.NoError(t, b.Submit(&op.Op{Kind: op.Nop, Done: &c}))
		before = b.Stats()
		_, err = b.Poll(20 * time.Millisecond)
		after = b.Stats()
	})
	require.NoError(t, err)
	require.Less(t, after.Syscalls-before.Syscalls, uint64(100))
	for c.ended == 0 {
		_, err := b.Poll(time.Second)
		require.NoError(t, err)
	}
}
