//go:build linux

package denytest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Env is the environment variable that names the bad luck of a child process; see Apply.
const Env = "OURO_TEST_DENY"

// Nobody is the unprivileged user that Apply changes to.
const Nobody = 65534

var calls = map[string]uintptr{
	"setup": unix.SYS_IO_URING_SETUP, "enter": unix.SYS_IO_URING_ENTER, "register": unix.SYS_IO_URING_REGISTER,
}

var errnos = map[string]syscall.Errno{"EPERM": syscall.EPERM, "EACCES": syscall.EACCES, "ENOSYS": syscall.ENOSYS}

// Apply does what Env says, and nothing when it is empty. TestMain calls it first. The forms are
//
//	setup=EPERM      the io_uring system call named (setup, enter or register) fails so
//	memlock=65536    the process becomes Nobody and may lock that many bytes; needs root
func Apply() error {
	v := os.Getenv(Env)
	if v == "" {
		return nil
	}
	what, how, _ := strings.Cut(v, "=")
	if what == "memlock" {
		n, err := strconv.ParseUint(how, 10, 64)
		if err != nil {
			return fmt.Errorf("denytest: %s=%s: %w", Env, v, err)
		}
		return memlock(n)
	}
	nr, ok := calls[what]
	errno, known := errnos[how]
	if !ok || !known {
		return fmt.Errorf("denytest: %s=%s is not understood", Env, v)
	}
	return Syscalls(errno, nr)
}

// memlock limits locked memory and gives up the privileges that would lift the limit.
func memlock(n uint64) error {
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: n, Max: n}); err != nil {
		return fmt.Errorf("denytest: setrlimit(RLIMIT_MEMLOCK): %w", err)
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("denytest: setgroups: %w", err)
	}
	if err := syscall.Setgid(Nobody); err != nil {
		return fmt.Errorf("denytest: setgid: %w", err)
	}
	if err := syscall.Setuid(Nobody); err != nil {
		return fmt.Errorf("denytest: setuid: %w", err)
	}
	return nil
}
