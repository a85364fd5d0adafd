//go:build linux

package uring

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Limits and filters cannot be taken back, so these tests run the test binary again with childEnv set; the child
// restricts itself and prints what Available and the probes say.
const childEnv = "OURO_URING_TEST_CHILD"

func runChild(what string) {
	kind, arg, _ := strings.Cut(what, ":")
	switch kind {
	case "seccomp":
		nr, errno, _ := strings.Cut(arg, "=")
		installFilter(atoi(nr), atoi(errno))
	case "memlock":
		becomeNobody(uint64(atoi(arg)))
	}
	printError("available", Available())
	ok, err := Supports(SetupClamp)
	fmt.Println("supports", ok, err != nil)
	states := map[State]int{}
	for _, r := range ProbeFeatures() {
		states[r.State]++
	}
	fmt.Println("states", states[Yes] > 0, states[No] > 0, states[Unknown] == len(FeatureTable()))
	if kind == "memlock" {
		_, err := Setup(Params{Entries: 32768})
		printError("large", err)
	}
}

func printError(what string, err error) {
	var errno syscall.Errno
	errors.As(err, &errno)
	fmt.Println(what, int(errno), err)
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// installFilter makes one system call fail in every thread of the process.
func installFilter(nr, errno int) {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	// SAFETY: struct sock_fprog, alive through the call.
	_, _, e := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		fmt.Println("cannot", e)
		os.Exit(0)
	}
}

func becomeNobody(memlock uint64) {
	lim := unix.Rlimit{Cur: memlock, Max: memlock}
	if err := errors.Join(unix.Setrlimit(unix.RLIMIT_MEMLOCK, &lim), syscall.Setgroups(nil),
		syscall.Setresgid(65534, 65534, 65534), syscall.Setresuid(65534, 65534, 65534)); err != nil {
		fmt.Println("cannot", err)
		os.Exit(0)
	}
}

func child(t *testing.T, what string) string {
	cmd := exec.Command("/proc/self/exe")
	// A race-enabled child would sleep a second at exit.
	cmd.Env = append(os.Environ(), childEnv+"="+what, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	if why, ok := strings.CutPrefix(string(out), "cannot "); ok {
		t.Skip("the child could not restrict itself:", why)
	}
	return string(out)
}

func TestSeccompIsToldApart(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		nr    int
		errno syscall.Errno
		text  string
	}{
		{unix.SYS_IO_URING_SETUP, syscall.EPERM, "seccomp filter or a security module forbids io_uring_setup"},
		{unix.SYS_IO_URING_SETUP, syscall.ENOSYS, "no io_uring"},
		{unix.SYS_IO_URING_ENTER, syscall.EPERM, "forbids io_uring_enter"},
		{unix.SYS_IO_URING_ENTER, syscall.ENOSYS, "hides io_uring_enter"},
		{unix.SYS_IO_URING_REGISTER, syscall.EPERM, "forbids io_uring_register"},
		{unix.SYS_IO_URING_REGISTER, syscall.EACCES, "forbids io_uring_register"},
	} {
		t.Run(fmt.Sprint(c.nr, c.errno), func(t *testing.T) {
			out := child(t, fmt.Sprintf("seccomp:%d=%d", c.nr, int(c.errno)))
			require.Contains(t, out, fmt.Sprintf("available %d io_uring", int(c.errno)))
			require.Contains(t, out, c.text)
			switch c.nr {
			case unix.SYS_IO_URING_SETUP:
				require.Contains(t, out, "supports false true")
				require.Contains(t, out, "states false false true", "nothing may be concluded")
			case unix.SYS_IO_URING_REGISTER:
				require.Contains(t, out, "supports true false")
				require.Contains(t, out, "states false false true", "nothing may be concluded")
			}
		})
	}
}

// Kernels differ in what they charge against RLIMIT_MEMLOCK: where they charge rings, the error says so.
func TestMemlockLimit(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become somebody else with a limit")
	}
	if err := Available(); err != nil {
		t.Skip(err)
	}
	out := child(t, "memlock:0")
	if strings.Contains(out, "large 0 ") {
		t.Skip("this kernel does not charge rings")
	}
	require.Contains(t, out, fmt.Sprintf("large %d io_uring", int(syscall.ENOMEM)))
	require.Contains(t, out, "ulimit -l")
	if strings.Contains(out, "available 0 ") {
		return
	}
	require.Contains(t, out, fmt.Sprintf("available %d io_uring", int(syscall.ENOMEM)))
	require.Contains(t, out, "supports false true")
	require.Contains(t, out, "states false false true")
}
