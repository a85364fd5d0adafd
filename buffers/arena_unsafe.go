package buffers

import "unsafe"

// untilChunk is how many bytes into mem the first multiple of FixedChunk lies.
func untilChunk(mem []byte) int {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(mem))) // SAFETY: a number only; never a pointer again.
	return int(-at % FixedChunk)
}

// distance is how many bytes behind the beginning of mem that of b lies; some other number where b lies elsewhere.
func distance(mem, b []byte) int {
	// SAFETY: numbers only; never pointers again.
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) - uintptr(unsafe.Pointer(unsafe.SliceData(mem))))
}
