//go:build linux

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func kernelInfo() Kernel {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Kernel{Release: "unknown", Machine: "unknown"}
	}
	return Kernel{Release: unix.ByteSliceToString(u.Release[:]), Machine: unix.ByteSliceToString(u.Machine[:])}
}

func limits() Limits {
	return Limits{Memlock: limit(unix.RLIMIT_MEMLOCK), Nofile: limit(unix.RLIMIT_NOFILE)}
}

func limit(resource int) Limit {
	var l unix.Rlimit
	if err := unix.Getrlimit(resource, &l); err != nil {
		return Limit{}
	}
	return Limit{Soft: finite(uint64(l.Cur)), Hard: finite(uint64(l.Max))}
}

// finite is nil for "no limit".
func finite(v uint64) *uint64 {
	if v == unix.RLIM_INFINITY {
		return nil
	}
	return &v
}

// sysctls reads the switches for io_uring below dir, which is /proc/sys/kernel.
func sysctls(dir string) (s Sysctl) {
	// Without /proc their absence means nothing.
	if _, err := os.Stat(dir); err != nil {
		return Sysctl{Error: err.Error()}
	}
	read := func(name string) *int {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		n := 0
		if err == nil {
			n, err = strconv.Atoi(strings.TrimSpace(string(b)))
		}
		if err != nil {
			s.Error = err.Error()
			return nil
		}
		return &n
	}
	s.Disabled, s.Group = read("io_uring_disabled"), read("io_uring_group")
	return s
}

func processInfo() Process {
	b, _ := os.ReadFile("/proc/self/status")
	return parseStatus(string(b), os.Getuid())
}

// parseStatus reads the lines of proc_pid_status(5) that matter. What is not there is unknown.
func parseStatus(status string, uid int) Process {
	p := Process{UID: uid, Seccomp: "unknown"}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch name {
		case "Seccomp":
			if s, ok := map[string]string{"0": "none", "1": "strict", "2": "filter"}[value]; ok {
				p.Seccomp = s
			}
		case "Seccomp_filters":
			p.SeccompFilters, _ = strconv.Atoi(value)
		case "NoNewPrivs":
			p.NoNewPrivs = value == "1"
		}
	}
	return p
}

func errnoName(e syscall.Errno) string {
	if n := unix.ErrnoName(e); n != "" {
		return n
	}
	return "errno " + strconv.Itoa(int(e))
}
