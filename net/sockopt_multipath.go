//go:build linux

package net

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Package net's listeners are Multipath TCP where the kernel has it, and their connections plain TCP where the peer has not.
// Whether such a connection has the listener's options is promised nowhere (net/mptcp/sockopt.c hands options down one by one,
// and knew fewer of them in the past). So it is tried, once in a process, at the first such Listen: a listener on loopback with
// settings that no default has, and one connection of either kind, in less than a millisecond.
//
// A trial that came to nothing, for want of descriptors, of memory or of a loopback device, says nothing about the kernel. The
// Listen that it was made for takes it for a no, and the next one tries again.

// mostTrials is how many trials may come to nothing before it stays at no: each can take twice trialTime.
const mostTrials = 5

// inheritance is the outcome of the trial. Safe from any goroutine; those that ask while it runs wait for it.
type inheritance struct {
	try func() (bool, error)

	mu     sync.Mutex
	trials int
	known  bool
	yes    bool
}

var multipathInheritance = inheritance{try: func() (bool, error) {
	if yes, err := inherits(unix.IPPROTO_TCP); !yes || err != nil {
		return false, err
	}
	return inherits(unix.IPPROTO_MPTCP)
}}

// inheritsMultipath reports whether connections accepted from a Multipath TCP listener have its keep-alive settings and
// TCP_NODELAY, all of them, whichever kind the peer is.
func inheritsMultipath() bool { return multipathInheritance.holds() }

// holds is the answer, tried if it is not known yet.
func (i *inheritance) holds() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known || i.trials == mostTrials {
		return i.yes
	}
	i.trials++
	yes, err := i.try()
	i.known, i.yes = err == nil, yes && err == nil
	return i.yes
}

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

var errNobodyCame = errors.New("no connection over loopback")

// arrives waits until somebody has connected to l, for wait at most. The runtime's signals and a profiler's may interrupt that.
func arrives(l int, wait time.Duration) bool {
	for end := time.Now().Add(wait); ; {
		left := max(0, time.Until(end).Milliseconds())
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(l), Events: unix.POLLIN}}, int(left))
		if err != unix.EINTR {
			return n == 1 && err == nil
		}
	}
}

// inherits tries it with a peer of the protocol given. An error means that it could not be tried.
func inherits(protocol int) (bool, error) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_MPTCP)
	if err != nil {
		return false, err
	}
	defer unix.Close(l)
	for _, o := range presets {
		if err := unix.SetsockoptInt(l, o.level, o.name, o.value); err != nil {
			return false, err
		}
	}
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return false, err
	}
	if err := unix.Listen(l, 1); err != nil {
		return false, err
	}
	address, err := unix.Getsockname(l)
	if err != nil {
		return false, err
	}
	peer, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return false, err
	}
	defer unix.Close(peer)
	if err := unix.Connect(peer, address); err != nil && err != unix.EINPROGRESS {
		return false, err
	}
	if !arrives(l, trialTime) {
		return false, errNobodyCame
	}
	c, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		return false, err
	}
	defer unix.Close(c)
	for _, o := range presets {
		value, err := unix.GetsockoptInt(c, o.level, o.name)
		if err != nil {
			return false, err
		}
		if value != o.value {
			return false, nil
		}
	}
	return true, nil
}
