//go:build linux

package uring

import (
	"os"
	"runtime"
	"strings"
	"syscall"
)

// Available sets a ring up, sends a no-op through it and asks it for its operations. It returns nil when that worked
// and otherwise an *Error that tells apart: the sysctl kernel.io_uring_disabled, a seccomp filter or security module
// (of setup, enter or register), a kernel without io_uring, and a lack of memory or descriptors. Any goroutine;
// nothing is cached.
func Available() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := Setup(Params{Entries: 4})
	if err != nil {
		return err
	}
	defer r.Close()
	s := r.GetSQE()
	s.PrepNop()
	for {
		_, errno := r.SubmitAndWait(1, -1)
		if errno == 0 {
			break
		}
		if errno != syscall.EINTR && errno != syscall.EAGAIN {
			return blockedError("enter", errno)
		}
	}
	if _, errno := r.probe(); errno != 0 && errno != syscall.EINVAL {
		// EINVAL: a kernel before 5.6, which works but cannot tell its operations.
		return blockedError("register", errno)
	}
	return nil
}

// sysctlPath is kernel.io_uring_disabled: 0 all may, 1 only CAP_SYS_ADMIN and the group kernel.io_uring_group, 2 none.
const sysctlPath = "/proc/sys/kernel/io_uring_disabled"

// blockedError finds out who refuses a system call of io_uring.
func blockedError(op string, errno syscall.Errno) error {
	return explainBlocked(op, errno, readSysctl())
}

func readSysctl() string {
	b, err := os.ReadFile(sysctlPath)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func explainBlocked(op string, errno syscall.Errno, sysctl string) error {
	e := &Error{Op: op, Errno: errno}
	switch {
	case errno == syscall.EPERM && op == "setup" && sysctl == "2":
		e.Cause = "sysctl kernel.io_uring_disabled is 2: off for everyone"
		e.Remedy = "as root: sysctl kernel.io_uring_disabled=0"
	case errno == syscall.EPERM && op == "setup" && sysctl == "1" && !privileged():
		e.Cause = "sysctl kernel.io_uring_disabled is 1: off without CAP_SYS_ADMIN"
		e.Remedy = "as root: sysctl kernel.io_uring_disabled=0, or set kernel.io_uring_group to a group of this process"
	case errno == syscall.EPERM:
		e.Cause = "a seccomp filter or a security module forbids io_uring_" + op
		e.Remedy = "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile"
	case errno == syscall.EACCES:
		e.Cause = "a security module or seccomp filter forbids io_uring_" + op
		e.Remedy = "allow io_uring in its policy"
	case errno == syscall.ENOSYS && op == "setup":
		e.Cause = "the kernel has no io_uring (older than 5.1 or built without it), or a sandbox hides it"
		e.Remedy = "use a newer kernel or allow the calls in the sandbox"
	case errno == syscall.ENOSYS:
		e.Cause = "a seccomp filter or sandbox hides io_uring_" + op
		e.Remedy = "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile"
	}
	return e
}

// privileged reports whether CAP_SYS_ADMIN is effective, which the sysctl value 1 lets through. An answer that cannot be
// had counts as no.
func privileged() bool {
	b, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return hasCapability(strings.TrimSpace(v), 21)
		}
	}
	return false
}

// hasCapability looks at bit n of a capability set in hexadecimal.
func hasCapability(hex string, n int) bool {
	i := len(hex) - 1 - n/4
	if i < 0 {
		return false
	}
	d := strings.IndexByte("0123456789abcdef", hex[i])
	return d >= 0 && d&(1<<(n%4)) != 0
}
