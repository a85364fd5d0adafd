//go:build linux

package uring

import "unsafe"

// An SQE holds addresses as numbers, which escape analysis does not follow: without help the compiler may leave a
// caller's buffer on its stack, and a stack moves when it grows while the kernel still writes to the old place.
// So each address goes through a branch, never taken, that stores the pointer in a global: whatever is passed
// must then live on the heap or outside it, and neither moves.
var (
	never bool
	sink  unsafe.Pointer
	_     = sink // it is only ever written
)

func addrOf(p unsafe.Pointer) uint64 {
	if never {
		sink = p
	}
	return uint64(uintptr(p))
}

// bytesAddr is the address of b's first byte, 0 for a nil slice.
func bytesAddr(b []byte) uint64 {
	// SAFETY: only the number is used; the caller keeps the memory (package comment), addrOf keeps it off the stack.
	return addrOf(unsafe.Pointer(unsafe.SliceData(b)))
}

// ptrAddr is the address that p holds.
func ptrAddr[T any](p *T) uint64 {
	// SAFETY: as in bytesAddr.
	return addrOf(unsafe.Pointer(p))
}

// sliceAddr is the address of s's first element.
func sliceAddr[T any](s []T) uint64 {
	// SAFETY: as in bytesAddr.
	return addrOf(unsafe.Pointer(unsafe.SliceData(s)))
}
