//go:build linux

package fixedbuf

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// budget bounds what all tables of the process register together. The kernel would refuse only at the limit itself, and then
// also the next ring.
var budget allowance

type allowance struct {
	mu    sync.Mutex
	taken uint64
}

// share is the part of RLIMIT_MEMLOCK that may be used.
const share = 4

func (a *allowance) take(n int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !privileged() {
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l); err == nil && a.taken+uint64(n) > l.Cur/share {
			return fmt.Errorf("%d bytes more would exceed a quarter of RLIMIT_MEMLOCK (ulimit -l), which is %d bytes; %d are registered: raise it",
				n, l.Cur, a.taken)
		}
	}
	a.taken += uint64(n)
	return nil
}

func (a *allowance) giveBack(n int) {
	a.mu.Lock()
	a.taken -= uint64(n)
	a.mu.Unlock()
}

// privileged reports whether the process has CAP_IPC_LOCK, and that in the first user namespace, as the kernel asks.
func privileged() bool {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if unix.Capget(&h, &d[0]) != nil || d[unix.CAP_IPC_LOCK/32].Effective&(1<<(unix.CAP_IPC_LOCK%32)) == 0 {
		return false
	}
	m, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(m)), " ") == "0 0 4294967295"
}
