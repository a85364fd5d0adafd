//go:build linux

package simkernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// iovecs is the memory that b, an array of struct iovec as op.Readv takes it, describes.
func iovecs(b []byte) [][]byte {
	// SAFETY: who submits it has made b of an array of Iovec and keeps that, and what it points to, alive.
	vs := unsafe.Slice((*unix.Iovec)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(unix.Iovec{})))
	ps := make([][]byte, len(vs))
	for i, v := range vs {
		ps[i] = unsafe.Slice(v.Base, v.Len) // SAFETY: that is what an Iovec says.
	}
	return ps
}
