package buffers

import "sync/atomic"

// mapped is the number of bytes mapped by all groups and pools. Tests compare it with 0.
var mapped atomic.Int64

// mapMemory returns n bytes of zeroed memory outside the Go heap, aligned to pages.
func mapMemory(n int) ([]byte, error) {
	mem, err := sysMap(n)
	if err == nil {
		mapped.Add(int64(len(mem)))
	}
	return mem, err
}

// unmapMemory ends mem, which must be exactly what mapMemory returned.
func unmapMemory(mem []byte) {
	mapped.Add(-int64(len(mem)))
	sysUnmap(mem)
}
