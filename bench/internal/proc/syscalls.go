package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// SyscallCounter has the kernel count the system calls of a process: one performance event per thread, inherited by
// threads that it starts later. Threads started between the look at the list and the opening of the last event may be
// missed. For one goroutine.
type SyscallCounter struct{ fds []int }

// syscallEvent is the number of the tracepoint raw_syscalls:sys_enter, found once.
var syscallEvent = sync.OnceValues(findSyscallEvent)

// CanCountSyscalls says why system calls cannot be counted here, or nil. It tries on the process itself.
func CanCountSyscalls() error {
	c, err := CountSyscalls(os.Getpid())
	if err != nil {
		return err
	}
	c.Close()
	return nil
}

// CountSyscalls begins to count those of process pid. It needs root (or perf_event_paranoid -1) and a kernel with
// CONFIG_FTRACE_SYSCALLS.
func CountSyscalls(pid int) (*SyscallCounter, error) {
	id, err := syscallEvent()
	if err != nil {
		return nil, fmt.Errorf("counting system calls: %w", err)
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, fmt.Errorf("counting system calls: %w", err)
	}
	c := &SyscallCounter{}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Size: unix.PERF_ATTR_SIZE_VER0, Config: id,
			Bits: unix.PerfBitInherit}
		fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if errors.Is(err, unix.ESRCH) {
			continue // it has ended meanwhile
		}
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("counting system calls: %w (run as root, or set kernel.perf_event_paranoid to -1)",
				os.NewSyscallError("perf_event_open", err))
		}
		c.fds = append(c.fds, fd)
	}
	return c, nil
}

// Count is how many there were.
func (c *SyscallCounter) Count() (int64, error) {
	var sum int64
	for _, fd := range c.fds {
		var b [8]byte
		if _, err := unix.Read(fd, b[:]); err != nil {
			return 0, fmt.Errorf("counting system calls: %w", os.NewSyscallError("read", err))
		}
		sum += int64(binary.NativeEndian.Uint64(b[:]))
	}
	return sum, nil
}

// Close stops counting.
func (c *SyscallCounter) Close() {
	for _, fd := range c.fds {
		unix.Close(fd)
	}
	c.fds = nil
}

// findSyscallEvent looks where tracefs is usually mounted. Where it is not, a mount of its own, in a folder that only
// this process knows, is made and removed again.
func findSyscallEvent() (uint64, error) {
	for _, dir := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if id, err := readEventID(dir); err == nil {
			return id, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	dir, err := os.MkdirTemp("", "tracefs")
	if err != nil {
		return 0, err
	}
	defer os.Remove(dir)
	if err := unix.Mount("tracefs", dir, "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_RDONLY, ""); err != nil {
		return 0, fmt.Errorf("tracefs is not mounted, and mounting it: %w", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH) //nolint:errcheck // it was mounted just now
	return readEventID(dir)
}

func readEventID(dir string) (uint64, error) {
	b, err := os.ReadFile(filepath.Join(dir, "events/raw_syscalls/sys_enter/id"))
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
}
