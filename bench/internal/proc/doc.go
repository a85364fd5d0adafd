// Package proc reads what a process costs (CPU time in nanoseconds, memory) and chooses the CPUs that it may run on.
//
// Functions are safe from any goroutine unless said otherwise. It needs Linux with /proc mounted; reading another
// process needs the same user or root.
package proc
