//go:build linux

package ringbackend

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// missedCancel is the answer to a cancel of ref that has ended nothing.
func missedCancel(ref op.Ref, errno syscall.Errno) *uring.CQE {
	return &uring.CQE{UserData: uint64(ref | cancelMark), Res: -int32(errno)}
}

// TestCancelThatEndedNothing: an operation may be on its way between two attempts when it is cancelled, and then wait again. (In
// package net TestMoveMeetsEnd runs into it, for sends of goroutines whose worker changes its thread.)
func TestCancelThatEndedNothing(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOENT, syscall.EALREADY} {
		t.Run(errno.Error(), func(t *testing.T) {
			b := open(t, Config{})
			defer func() { require.NoError(t, b.Close()) }()
			fd, _ := pair(t)
			recv := start(t, b, &owner{Op: op.Op{Kind: op.Recv, FD: int32(fd)}})
			_, err := b.Poll(0)
			require.NoError(t, err)
			missed := missedCancel(recv.Ref(), errno)
			b.deliver(missed)
			require.Empty(t, b.again, "nobody has cancelled it")
			require.True(t, recv.MarkCancelled())
			b.deliver(missed)
			require.Equal(t, []op.Ref{recv.Ref()}, b.again)
			b.prepareTurn()
			require.False(t, b.behind(), "not in the same turn")
			until(t, b, func() bool { return !recv.InFlight() })
			b.deliver(missed)
			require.Empty(t, b.again, "it has ended")
		})
	}
}

// An operation that the kernel does not find is asked for about once in retryAfter, as long as it is in flight.
func TestCancelIsRepeatedNowAndThen(t *testing.T) {
	b := open(t, Config{})
	defer func() { require.NoError(t, b.Close()) }()
	lost := &op.Op{Kind: op.Recv}
	b.table.Put(lost)
	require.True(t, lost.MarkCancelled())
	b.deliver(missedCancel(lost.Ref(), syscall.ENOENT))
	const periods = 20
	before, began := b.Stats().Syscalls, time.Now()
	_, err := b.Poll(periods * retryAfter)
	require.NoError(t, err)
	calls := b.Stats().Syscalls - before
	require.Positive(t, calls)
	require.Less(t, calls, uint64(5*(1+time.Since(began)/retryAfter))) // on a busy machine it took longer than periods
	require.NotEmpty(t, append(b.again, b.late...), "it is never given up")
	b.table.Drop(lost)
	_, err = b.Poll(2 * retryAfter)
	require.NoError(t, err)
	require.Empty(t, append(b.again, b.late...))
}

// What ends by itself, and is not found before, is cancelled once.
func TestCancelIsNotRepeatedInVain(t *testing.T) {
	b := open(t, Config{})
	defer func() { require.NoError(t, b.Close()) }()
	lent := &op.Op{Kind: op.SendZC}
	b.table.Put(lent)
	lent.MarkLent()
	for _, o := range []*op.Op{lent, {Kind: op.Read}, {Kind: op.Fsync}} {
		if !o.InFlight() {
			b.table.Put(o)
		}
		require.True(t, o.MarkCancelled())
		b.deliver(missedCancel(o.Ref(), syscall.ENOENT))
		require.Empty(t, b.again, o.Kind)
		b.table.Drop(o)
	}
	b.table.Put(lent)
	require.True(t, lent.MarkCancelled())
	b.deliver(missedCancel(lent.Ref(), syscall.ENOENT))
	require.NotEmpty(t, b.again, "before its result is known")
	b.table.Drop(lent)
	_, err := b.Poll(2 * time.Millisecond)
	require.NoError(t, err)
}
