// Package protocol is what a contestant's program and the suite say to each other. It is a module with one small dependency,
// so that each rival can be a module of its own with whatever versions it needs.
//
// A program is executed as
//
//	PROGRAM ROLE [key=value ...]
//
// A server prints "listening ADDRESS" once it accepts, serves until standard input ends, prints "stats {...}" if it has
// any, and exits with 0. A job measures itself, prints "result {...}" and exits with 0. Everything else on standard
// output is ignored; what stands on standard error is shown when the program fails.
//
// The servers listen on 127.0.0.1 only. Functions are for the program's main goroutine unless they say otherwise.
package protocol
