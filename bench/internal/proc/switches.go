package proc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Switches is the number of context switches, voluntary and involuntary, of all threads that process pid has at the
// moment (proc(5)). Those of threads that have ended are not in it.
func Switches(pid int) (int64, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, fmt.Errorf("context switches of process %d: %w", pid, err)
	}
	var sum int64
	for _, t := range tasks {
		n, err := switchesOf(filepath.Join("/proc", strconv.Itoa(pid), "task", t.Name(), "status"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended meanwhile
		}
		if err != nil {
			return 0, fmt.Errorf("context switches of process %d: %w", pid, err)
		}
		sum += n
	}
	return sum, nil
}

func switchesOf(path string) (sum int64, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		key, rest, _ := strings.Cut(s.Text(), ":")
		if !strings.HasSuffix(key, "voluntary_ctxt_switches") {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// SystemTime is the part of CPUTime that was spent in the kernel, as far as the kernel can tell: it is scaled from
// samples at clock ticks unless the kernel does precise accounting (proc(5), stime), in steps of 10 ms.
func SystemTime(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("system time of process %d: %w", pid, err)
	}
	// The name, in parentheses, may hold anything. stime is field 15, the 13th after it.
	_, rest, ok := strings.Cut(string(data[bytes.LastIndexByte(data, ')')+1:]), " ")
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return 0, fmt.Errorf("system time of process %d: %q", pid, data)
	}
	ticks, err := strconv.ParseInt(f[12], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("system time of process %d: %w", pid, err)
	}
	const perSecond = 100 // USER_HZ, on every architecture that Go runs on
	return time.Duration(ticks) * time.Second / perSecond, nil
}
