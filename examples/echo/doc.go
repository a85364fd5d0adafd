// Package echo holds the same server four times, once for each face of the engine:
//
//	go run ./examples/echo/serve         straight-line handlers as coroutines: Read and Write
//	go run ./examples/echo/leases        the same without copying: ReadLease and WriteLease
//	go run ./examples/echo/callbacks     callbacks, without a stack per connection
//	go run ./examples/echo/goroutines    package net's API as it is, with one import line changed
//
// Each listens on -addr, by default 127.0.0.1:7007, until it is interrupted.
package echo
