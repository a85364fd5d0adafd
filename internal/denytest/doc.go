// Package denytest takes system calls away from the calling process, so that tests can see what a container's seccomp
// profile or a tight limit does to the engine. Only tests import it, and only in a child process that they have started
// for it: what is denied stays denied.
//
// Linux with seccomp filters (3.17); new privileges are given up for good with the first filter. Functions are safe
// from any goroutine.
package denytest
