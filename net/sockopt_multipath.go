//go:build linux

package net

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Package net's listeners are Multipath TCP where the kernel has it, and their connections plain TCP where the peer has not. Whether
// such a connection has the listener's options is promised nowhere (net/mptcp/sockopt.c hands options down one by one, and knew fewer of
// them in the past). So it is tried, once in a process, at the first such Listen: a listener on loopback with settings that no default
// has, and one connection of either kind, in less than a millisecond.

// inheritsMultipath reports whether connections accepted from a Multipath TCP listener have its keep-alive settings and
// TCP_NODELAY, all of them, whichever kind the peer is. Where it cannot be tried it says no.
var inheritsMultipath = sync.OnceValue(func() bool {
	return inherits(unix.IPPROTO_TCP) && inherits(unix.IPPROTO_MPTCP)
})

// presets are what the trial sets and looks for.
var presets = [...]struct{ level, name, value int }{
	{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 4321},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 1234},
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 17},
}

// trialTime bounds the wait for a connection on loopback, which normally is there at once.
const trialTime = 100 * time.Millisecond

// arrives waits until somebody has connected to l. The runtime's signals and a profiler's may interrupt that.
func arrives(l int) bool {
	for end := time.Now().Add(trialTime); ; {
		left := max(0, time.Until(end).Milliseconds())
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(l), Events: unix.POLLIN}}, int(left))
		if err != unix.EINTR {
			return n == 1 && err == nil
		}
	}
}

// inherits tries it with a peer of the protocol given.
func inherits(protocol int) bool {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_MPTCP)
	if err != nil {
		return false
	}
	defer unix.Close(l)
	for _, o := range presets {
		if unix.SetsockoptInt(l, o.level, o.name, o.value) != nil {
			return false
		}
	}
	if unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}) != nil || unix.Listen(l, 1) != nil {
		return false
	}
	address, err := unix.Getsockname(l)
	if err != nil {
		return false
	}
	peer, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return false
	}
	defer unix.Close(peer)
	if err := unix.Connect(peer, address); err != nil && err != unix.EINPROGRESS {
		return false
	}
	if !arrives(l) {
		return false
	}
	c, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		return false
	}
	defer unix.Close(c)
	for _, o := range presets {
		if value, err := unix.GetsockoptInt(c, o.level, o.name); err != nil || value != o.value {
			return false
		}
	}
	return true
}
