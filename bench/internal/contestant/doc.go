// Package contestant holds the programs that the suite compares: the code of those in the suite's own binary, how those
// that are modules (bench/rivals) or C programs (bench/c) of their own are built, and the registry of all.
//
// Each runs in a process of its own and speaks the protocol of package protocol. One that cannot be built or dies does
// not take the others with it.
//
// The registry is made anew on each call and safe from any goroutine; a Builder is for one goroutine.
package contestant
