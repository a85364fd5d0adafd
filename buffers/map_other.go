//go:build !linux

package buffers

// sysMap returns n bytes of zeroed memory from the Go heap.
func sysMap(n int) ([]byte, error) { return make([]byte, n), nil }

// wantHuge does nothing.
func wantHuge([]byte) {}

// sysUnmap leaves mem to the collector.
func sysUnmap([]byte) {}
