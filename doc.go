// Package ouro is the root of an io_uring engine for Go; it holds no code. Import the package for the job:
//
//   - net: package net's API on the engine, and Serve, which runs a connection's handler as a coroutine;
//   - file: package os's files on the same rings;
//   - csp, locks, future, stream, actor: the patterns, each for coroutines and goroutines alike;
//   - proactor: the engine itself, with a callback face that keeps no stack per connection.
//
// The layers below them (executor, buffers, uring, reactorfallback) have an API of their own and are described in
// their package comments. ARCHITECTURE.md in the repository tells how they fit together, docs/choosing.md helps to choose.
// Linux; io_uring from kernel 6.1, epoll on older kernels and where io_uring is blocked.
package ouro

//go:generate go test . -run TestGenerated -update
