//go:build linux

package uring

import (
	"errors"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBlockedIsExplained(t *testing.T) {
	for _, c := range []struct {
		op, sysctl, text string
		errno            syscall.Errno
	}{
		{"setup", "2", "kernel.io_uring_disabled is 2", syscall.EPERM},
		{"setup", "0", "seccomp", syscall.EPERM},
		{"setup", "", "seccomp", syscall.EPERM},
		{"enter", "2", "seccomp", syscall.EPERM},
		{"setup", "0", "security module", syscall.EACCES},
		{"setup", "", "older than 5.1", syscall.ENOSYS},
		{"register", "", "hides io_uring_register", syscall.ENOSYS},
	} {
		err := explainBlocked(c.op, c.errno, c.sysctl)
		require.ErrorIs(t, err, c.errno)
		require.ErrorContains(t, err, c.text)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.NotEmpty(t, e.Remedy)
	}
	err := explainBlocked("setup", syscall.EPERM, "1")
	if privileged() {
		require.ErrorContains(t, err, "seccomp", "the sysctl lets CAP_SYS_ADMIN through, so it was something else")
	} else {
		require.ErrorContains(t, err, "kernel.io_uring_group")
	}
}

func TestHasCapability(t *testing.T) {
	require.True(t, hasCapability("000001ffffffffff", 21))
	require.True(t, hasCapability("0000000000200000", 21))
	require.False(t, hasCapability("ffffffffffdfffff", 21))
	require.False(t, hasCapability("", 21))
	require.False(t, hasCapability("zzzzzz", 21))
}

func TestEveryErrorNamesItsCause(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EINVAL, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.EPERM,
		syscall.EACCES, syscall.ENOSYS, syscall.EBADF} {
		var e *Error
		require.ErrorAs(t, setupError(errno, SetupClamp), &e)
		require.NotEmpty(t, e.Cause, errno)
		require.True(t, errors.Is(e, errno))
		require.ErrorAs(t, registerError("x", errno), &e)
		if errno != syscall.EMFILE && errno != syscall.ENFILE {
			require.NotEmpty(t, e.Cause, errno)
		}
	}
}
