//go:build linux

package main

import (
	"os"
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

func sysctls() Sysctl {
	return Sysctl{Disabled: sysctl("io_uring_disabled"), Group: sysctl("io_uring_group")}
}

// sysctl reads a number below /proc/sys/kernel; nil when there is none.
func sysctl(name string) *int {
	b, err := os.ReadFile("/proc/sys/kernel/" + name)
	if err != nil {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return nil
	}
	return &n
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
