//go:build !race

package executor

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

//go:noinline
func stackUsed() uintptr {
	var x byte
	// SAFETY: the address is only looked at. A stack ends at a multiple of its size, which is at least 2 KiB.
	return -uintptr(unsafe.Pointer(&x)) & 2047
}

// What lies above the user's function on a coroutine's stack is small. The way down from Waiter.Wait to the switch takes
// about 200 bytes more; together they leave about 700 of the 1120 usable bytes of a new stack.
func TestStackAboveUserCode(t *testing.T) {
	e := start(t, Config{Workers: 1})
	var used uintptr
	call(t, e.Workers()[0], func() { used = stackUsed() })
	require.Less(t, used, uintptr(350))
}
