// Package faults has no code of its own: its tests injure the process and the network around running engines, and look at
// every byte that gets through.
//
// Each test keeps verified traffic going (rig_test.go) over a backend while something bad happens: threads that die,
// signals, processors that come and go, memory that is collected all the time, peers that are killed, system calls that
// are forbidden, limits that are too low, links that lose and reorder. Afterwards the engine must shut down with no
// connection, operation, lease, goroutine or descriptor left. What a process cannot take back (seccomp, limits,
// namespaces) is done in a child process.
//
// Linux. Tests that need root, a namespace or a queueing discipline say so and skip without.
package faults
