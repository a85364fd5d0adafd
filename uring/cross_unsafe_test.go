//go:build linux

package uring

import (
	"testing"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// An entry filled through either package has the same 64 bytes.
func TestEntryBytesAgreeWithIouringGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ours SQE
		var theirs sys.SubmissionQueueEntry64
		ours = SQE{
			Opcode: rapid.Uint8().Draw(t, "opcode"), Flags: rapid.Uint8().Draw(t, "flags"),
			IoPrio: rapid.Uint16().Draw(t, "ioprio"), FD: rapid.Int32().Draw(t, "fd"),
			Off: rapid.Uint64().Draw(t, "off"), Addr: rapid.Uint64().Draw(t, "addr"), Len: rapid.Uint32().Draw(t, "len"),
			OpFlags: rapid.Uint32().Draw(t, "opflags"), UserData: rapid.Uint64().Draw(t, "userdata"),
			BufIndex: rapid.Uint16().Draw(t, "bufindex"), Personality: rapid.Uint16().Draw(t, "personality"),
			SpliceFDIn: rapid.Int32().Draw(t, "splice"),
		}
		theirs.PrepOperation(ours.Opcode, ours.FD, ours.Addr, ours.Len, ours.Off)
		theirs.SetFlags(ours.Flags)
		theirs.SetIoprio(ours.IoPrio)
		theirs.SetOpFlags(ours.OpFlags)
		theirs.SetUserData(ours.UserData)
		theirs.SetBufIndex(ours.BufIndex)
		theirs.SetPersonality(ours.Personality)
		theirs.SetSpliceFdIn(ours.SpliceFDIn)
		// SAFETY: both are 64 bytes without pointers.
		require.Equal(t, *(*[64]byte)(unsafe.Pointer(&theirs)), *(*[64]byte)(unsafe.Pointer(&ours)))
	})
}

// What an entry points to is on the heap even when its maker never lets it go: a stack would move.
func TestPreparedMemoryIsNotOnTheStack(t *testing.T) {
	var s SQE
	before, after := prepOnStack(&s)
	require.Equal(t, before, s.Addr)
	require.Equal(t, before, after, "the buffer moved with the stack")
}

//go:noinline
func prepOnStack(s *SQE) (before, after uint64) {
	var buf [64]byte
	s.PrepSend(1, buf[:], 0)
	// SAFETY: only the numbers are compared.
	before = uint64(uintptr(unsafe.Pointer(&buf)))
	growStack(200)
	return before, uint64(uintptr(unsafe.Pointer(&buf)))
}

//go:noinline
func growStack(n int) byte {
	var pad [1024]byte
	pad[n%len(pad)] = byte(n)
	if n == 0 {
		return pad[0]
	}
	return growStack(n-1) + pad[n%len(pad)]
}
