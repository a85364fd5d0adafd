//go:build linux

// Package vm boots Linux kernels of several versions in qemu and runs static programs in them: the tests, to see that
// the engine works on kernels that this machine does not run, and the benchmarks.
//
// Get fetches a kernel as Debian packages into a cache; Build compiles programs; Initramfs packs them with the guest's
// first process (package guest) and a plan; Machine.Run boots it, and brings back what the guest wrote to its disk.
// testdata/vm and bench/vm are the commands that users call.
//
// Functions are safe from any goroutine; of two processes that fetch into one cache the second waits. What a
// Run starts is gone when it returns. Nothing here needs root. It needs qemu-system-x86_64, apt-get and dpkg-deb, and the
// go command; where one is missing, or the network gives no kernel, errors wrap ErrUnavailable, so that callers can tell
// "not here" from "failed".
//
// Guests are x86-64. Without hardware virtualisation they are emulated: right results, meaningless speed. Not for programs
// that need more than a network card's loopback, or files beyond their initramfs.
package vm

import "errors"

// ErrUnavailable is wrapped by errors that say that virtual machines, or one kernel, cannot be had on this machine.
var ErrUnavailable = errors.New("cannot be had on this machine")
