// Package integration runs real programs and libraries over package net of ouro: net/http, crypto/tls, gRPC, QUIC, SSH,
// WebSocket, NATS, and, where they are installed, a Redis server and nginx. It has tests only, and is a module of its own
// so that none of this reaches the builds of ouro's users.
//
// Each test runs on every stack of stacks_test.go: the package as it is, and connections forced onto the engine, on
// io_uring and on epoll. ecosystem/ is the command that runs other modules' own test suites with their "net" imports
// changed to ours.
package integration
