//go:build linux

package ringbackend

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// iovecs is the array of struct iovec in p.
func iovecs(p []byte) []unix.Iovec {
	if len(p) == 0 {
		return nil
	}
	// SAFETY: the contract of op.Readv and op.Writev: Buf is such an array, made from a []unix.Iovec, so it is aligned and
	// the collector knows the pointers in it.
	return unsafe.Slice((*unix.Iovec)(unsafe.Pointer(unsafe.SliceData(p))), len(p)/int(unsafe.Sizeof(unix.Iovec{})))
}
