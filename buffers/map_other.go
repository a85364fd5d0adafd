//go:build !linux

package buffers

// mapMemory returns n bytes of zeroed memory from the Go heap.
func mapMemory(n int) ([]byte, error) { return make([]byte, n), nil }

// unmapMemory leaves mem to the collector.
func unmapMemory([]byte) {}
