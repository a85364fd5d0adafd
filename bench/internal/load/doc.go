// Package load puts load on a server and measures it: requests, latency, bytes, and the server's CPU time, context
// switches, system calls and memory over exactly the measured window.
//
// It runs in a process of its own, one goroutine locked to its thread, with one epoll set over all connections and raw
// non-blocking system calls, so that its own cost is small, steady, and the same for every server. The loop is closed
// (each connection keeps a fixed number of messages in flight) or open (a fixed rate, with latencies from when a message
// was due). Every message carries the number of its connection and its sequence number, and every byte that comes back is
// compared.
//
// Run owns all memory and descriptors that it uses and releases them before it returns. It refuses anything but IPv4
// addresses, because it is meant for loopback. Configuration out of range is an error.
package load
