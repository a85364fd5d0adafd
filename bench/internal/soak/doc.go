// Package soak drives mixed traffic through an engine for as long as one likes, checks every byte, and looks for drift.
//
// Time is divided into cycles. In a cycle every kind of traffic runs at once; at its end all of it has ended, and what is
// open is counted: descriptors, goroutines, connections and operations of the engine, leases, resident memory. Whatever
// is not back to what it was after the first cycles is a leak. So a leak is found by counting, not by a trend.
//
// Run is for one goroutine at a time in a process that does nothing else. It needs room for a file of 4 MiB in the
// temporary folder, and uses loopback only.
package soak
