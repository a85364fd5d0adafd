//go:build linux

package reactorfallback

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/stretchr/testify/require"
)

// A wake-up of a worker that does not sleep is a note in memory, and many are one.
func TestWakeWithoutSyscall(t *testing.T) {
	r := start(t, Config{})
	for range 100 {
		r.Wake()
	}
	require.Zero(t, r.waker.writes.Load())
	poll(t, r, -1)
	require.Equal(t, uint32(awake), r.waker.state.Load(), "the note was not taken")
	// A Poll that may not wait leaves it for one that may.
	r.Wake()
	poll(t, r, 0)
	poll(t, r, -1)
}

// A sleeping worker is woken by one write, however many ask.
func TestWakeWritesOnce(t *testing.T) {
	r := start(t, Config{})
	var asleepSeen atomic.Bool
	go func() {
		for r.waker.state.Load() != asleep {
			runtime.Gosched()
		}
		asleepSeen.Store(true)
		for range 100 {
			r.Wake()
		}
	}()
	poll(t, r, -1)
	require.True(t, asleepSeen.Load())
	require.LessOrEqual(t, r.waker.writes.Load(), uint64(1))
}

// The write of an old wake-up, coming late, does not end a wait that nobody wants to end.
func TestLateWriteEndsNothing(t *testing.T) {
	r := start(t, Config{})
	r.waker.state.Store(asleep)
	r.Wake()
	r.waker.state.Store(awake) // woken by something else meanwhile, and left
	start := time.Now()
	require.Zero(t, poll(t, r, 20*time.Millisecond))
	require.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond)
}

// A worker that two ticks find without work parks; one that is busy again does not, and drops the parker.
func TestParkAndHoldByTurns(t *testing.T) {
	r := start(t, Config{})
	for after := 20 * time.Millisecond; r.parker == nil && after < 30*time.Second; after *= 2 { // until two ticks came before the Wake
		timer := time.AfterFunc(after, r.Wake)
		defer timer.Stop()
		poll(t, r, -1)
	}
	require.True(t, r.pace.Idle())
	require.False(t, r.ticking, "the tick goes on while idle")
	require.NotNil(t, r.parker, "did not park")

	fd, peer := pair(t)
	got := 0
	o := op.Op{Kind: op.Recv, FD: fd, Done: done(func(_ *op.Op, c *op.Completion) { got++; c.Lease.Release() })}
	require.NoError(t, r.Submit(&o))
	for i := 1; r.parker != nil; i++ {
		require.LessOrEqual(t, i, 10_000, "kept for nothing")
		send(peer, []byte("x"))
		for got < i {
			poll(t, r, -1)
		}
		require.False(t, r.pace.Idle())
	}
	r.Cancel(&o)
	poll(t, r, -1)
}

// Without descriptors for a parker the worker waits in the system call.
func TestNoParker(t *testing.T) {
	r := start(t, Config{})
	epfd := r.epfd
	r.epfd = -1 // cannot be duplicated
	r.park(time.Millisecond)
	require.Nil(t, r.parker)
	require.Error(t, r.broken)
	r.epfd, r.broken = epfd, nil
}

// An idle worker costs nothing: it makes no system call until it is woken.
func TestIdleMakesNoCalls(t *testing.T) {
	r := start(t, Config{})
	r.pace.Idled()
	timer := time.AfterFunc(100*time.Millisecond, r.Wake)
	defer timer.Stop()
	poll(t, r, -1)
	// One look before the park, and one for each time the runtime reports the set: the wake-up, and at most the edge of
	// its registration.
	require.LessOrEqual(t, r.Stats().Syscalls, uint64(4))
}
