//go:build linux

package simkernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// iovecs is the memory that b, an array of struct iovec as op.Readv takes it, describes.
func iovecs(b []byte) [][]byte {
	// SAFETY: who submits it has made b of an array of Iovec and keeps that, and what it points to, alive.
	return described(unsafe.Slice((*unix.Iovec)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(unix.Iovec{}))))
}

func described(vs []unix.Iovec) [][]byte {
	ps := make([][]byte, len(vs))
	for i, v := range vs {
		ps[i] = unsafe.Slice(v.Base, v.Len) // SAFETY: that is what an Iovec says.
	}
	return ps
}

// pieces is the memory that h describes.
func pieces(h *unix.Msghdr) [][]byte {
	// SAFETY: that is what a Msghdr says; who submits it keeps all of it alive.
	return described(unsafe.Slice(h.Iov, h.Iovlen))
}

// overlap reports whether p and q have memory in common.
func overlap(p, q []byte) bool {
	// SAFETY: only the addresses are compared, nothing is reached through them.
	a, b := uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(unsafe.Pointer(unsafe.SliceData(q)))
	return len(p) > 0 && len(q) > 0 && a < b+uintptr(len(q)) && b < a+uintptr(len(p))
}

// nameOf is the room for the name in h, controlOf that for control data.
func nameOf(h *unix.Msghdr) []byte {
	return unsafe.Slice(h.Name, h.Namelen) // SAFETY: as above.
}

func controlOf(h *unix.Msghdr) []byte {
	return unsafe.Slice(h.Control, h.Controllen) // SAFETY: as above.
}
