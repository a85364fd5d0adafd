// Package contestant holds the servers that the suite compares: one file per contestant, and the registry.
//
// A contestant is either Go code (Serve), which runs in a process of its own that the suite makes by executing itself
// again, or a program (Build), which is made once and executed directly. Both speak one small protocol: print
// "listening ADDRESS" when ready, serve until standard input ends, print "stats {...}" if there are any, exit.
//
// The registry is read-only after package initialisation and safe from any goroutine.
package contestant
