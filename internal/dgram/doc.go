// Package dgram has the parts of datagrams that need neither an engine nor a poller: socket addresses as the kernel has
// them, the control messages of UDP segmentation offload, and the system calls that move several messages at once.
//
// Everything may be called from any goroutine; nothing is kept. No call waits (MSG_DONTWAIT), so the Go scheduler is not
// told of them. Linux only: sendmmsg(2) and recvmmsg(2) are older than anything that Go supports, UDP_SEGMENT came with
// 4.18 and UDP_GRO with 5.0.
package dgram
