// Package layers splits a Go program's CPU time by the layer that it was spent in, from a CPU profile.
//
// A sample belongs to the layer of its innermost frame that tells: the kernel (and there, whether for I/O or for the Go
// scheduler's own waiting and waking), the scheduler, the runtime's memory management, the library under test, the
// contestant's own handler. Functions are safe from any goroutine.
package layers
