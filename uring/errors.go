//go:build linux

package uring

import (
	"strings"
	"syscall"
)

// Error is a failed setup, mapping or registration. errors.Is finds the errno.
type Error struct {
	// Op is what was tried.
	Op string
	// Errno is the kernel's answer.
	Errno syscall.Errno
	// Cause says in words what it means here, Remedy what can be done; both may be empty.
	Cause, Remedy string
}

// Error is "io_uring op: errno: cause; remedy".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("io_uring " + e.Op + ": " + e.Errno.Error())
	if e.Cause != "" {
		b.WriteString(": " + e.Cause)
	}
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// Unwrap returns the errno.
func (e *Error) Unwrap() error { return e.Errno }

// setupError explains an answer of io_uring_setup(2).
func setupError(errno syscall.Errno, flags SetupFlags) error {
	e := &Error{Op: "setup", Errno: errno}
	switch errno {
	case syscall.EINVAL:
		e.Cause = "the kernel does not take flags " + flags.String() + " or these sizes"
		e.Remedy = "ask Supports for each flag and leave out what is missing"
	case syscall.ENOMEM:
		e.Cause = "not enough memory, or RLIMIT_MEMLOCK (ulimit -l) is used up"
		e.Remedy = "use smaller rings, raise the limit, or retry: closed rings give their share back some milliseconds late"
	case syscall.EMFILE, syscall.ENFILE:
		e.Cause = "no descriptor is left"
		e.Remedy = "raise RLIMIT_NOFILE (ulimit -n) or fs.file-max"
	case syscall.EBADF, syscall.ENXIO:
		e.Cause = "AttachFD is not an open ring"
	default:
		return blockedError("setup", errno)
	}
	return e
}

// registerError explains an answer of io_uring_register(2) that does not depend on what was registered.
func registerError(op string, errno syscall.Errno) error {
	e := &Error{Op: op, Errno: errno}
	switch errno {
	case syscall.EEXIST:
		e.Cause = "it is registered already, or this thread does not own the ring (SetupSingleIssuer)"
	case syscall.EINVAL:
		e.Cause = "the kernel lacks this registration or refuses the arguments"
	case syscall.ENOMEM:
		e.Cause = "not enough memory, or RLIMIT_MEMLOCK (ulimit -l) is used up"
		e.Remedy = "register less or raise the limit"
	case syscall.EBADF:
		e.Cause = "the ring or a descriptor given is closed"
	case syscall.EBADFD:
		e.Cause = "the ring must be disabled (SetupRDisabled) for this, or enabled for anything else"
	case syscall.EPERM, syscall.ENOSYS:
		return blockedError(op, errno)
	case syscall.EACCES:
		e.Cause = "the ring's restrictions, or a security module, forbid it"
	case syscall.ENXIO, syscall.ENOENT:
		e.Cause = "nothing is registered there"
	}
	return e
}
