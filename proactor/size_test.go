//go:build linux

package proactor

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestIdleConnectionSize: of connections there may be many. The Go allocator rounds up to its size classes, after 352 to 384.
func TestIdleConnectionSize(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the size is of 64-bit systems")
	}
	require.LessOrEqual(t, unsafe.Sizeof(Conn{}), uintptr(352))
}
