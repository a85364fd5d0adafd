package protocol

import "unsafe"

// AlignedBlock returns n bytes at an address that O_DIRECT accepts.
func AlignedBlock(n int) []byte {
	const align = 4096
	b := make([]byte, n+align)
	// SAFETY: the address is only looked at, to choose where in b to begin; the memory does not move.
	off := -int(uintptr(unsafe.Pointer(&b[0]))) & (align - 1)
	return b[off : off+n : off+n]
}
