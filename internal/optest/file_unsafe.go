//go:build linux

package optest

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// iovecBytes describes ps as op.Readv and op.Writev take them.
func iovecBytes(ps ...[]byte) []byte {
	vs := make([]unix.Iovec, len(ps))
	for i, p := range ps {
		vs[i].Base = unsafe.SliceData(p) // SAFETY: a pointer to the first byte, which vs keeps alive.
		vs[i].SetLen(len(p))
	}
	// SAFETY: the same array as bytes; the collector goes by its allocation, and still sees the pointers.
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(vs))), len(vs)*int(unsafe.Sizeof(vs[0])))
}
