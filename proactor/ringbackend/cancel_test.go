//go:build linux

package ringbackend

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// TestCancelThatFoundNothing: an operation may be on its way between two attempts when it is cancelled, and then wait again. (In
// package net TestMoveMeetsEnd runs into it, for sends of goroutines whose worker changes its thread.)
func TestCancelThatFoundNothing(t *testing.T) {
	b := open(t, Config{})
	defer func() { require.NoError(t, b.Close()) }()
	fd, _ := pair(t)
	recv := start(t, b, &owner{Op: op.Op{Kind: op.Recv, FD: int32(fd)}})
	_, err := b.Poll(0)
	require.NoError(t, err)
	missed := uring.CQE{UserData: uint64(recv.Ref() | cancelMark), Res: -int32(syscall.ENOENT)}
	b.deliver(&missed)
	require.False(t, b.behind(), "nobody has cancelled it")
	require.True(t, recv.MarkCancelled())
	b.deliver(&missed)
	until(t, b, func() bool { return !recv.InFlight() })
	b.deliver(&missed)
	require.False(t, b.behind(), "it has ended")

	recv = start(t, b, &owner{Op: op.Op{Kind: op.Recv, FD: int32(fd)}})
	require.True(t, recv.MarkCancelled())
	tries := 0
	for missed.UserData = uint64(recv.Ref() | cancelMark); tries < 1000; tries++ {
		if b.deliver(&missed); !b.behind() {
			break
		}
		b.late = nil
	}
	require.Less(t, tries, 200, "what has lent its memory to the kernel is not found for long")
	b.cancel(recv.Ref())
	until(t, b, func() bool { return !recv.InFlight() })
}
