//go:build linux

package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/file"
	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/proactor"
)

const (
	profilePath = "../../docs/seccomp.json"
	leftOutEnv  = "OURO_FAULTS_LEFT_OUT"
)

// profile is the part of an OCI seccomp profile that ours uses.
type profile struct {
	DefaultAction   string
	DefaultErrnoRet int
	Syscalls        []struct {
		Comment string
		Names   []string
		Action  string
	}
}

func readProfile() (p profile, allowed []uintptr, err error) {
	src, err := os.ReadFile(profilePath)
	if err != nil {
		return p, nil, err
	}
	if err := json.Unmarshal(src, &p); err != nil {
		return p, nil, err
	}
	for _, s := range p.Syscalls {
		for _, name := range s.Names {
			nr, ok := numbers[name]
			if !ok || s.Action != "SCMP_ACT_ALLOW" {
				return p, nil, fmt.Errorf("%s: %s %s is not understood", profilePath, s.Action, name)
			}
			if name != os.Getenv(leftOutEnv) {
				allowed = append(allowed, nr)
			}
		}
	}
	return p, allowed, nil
}

func init() {
	parts["profiled"] = func() error {
		_, allowed, err := readProfile()
		if err != nil {
			return err
		}
		// Things that the profile must forbid work before, or fail in another way.
		for what, call := range forbiddenCalls {
			if errno := call(); errno == syscall.EPERM && os.Getuid() == 0 {
				return fmt.Errorf("%s is forbidden without the profile", what)
			}
		}
		if err := denytest.Only(syscall.EPERM, allowed...); err != nil {
			return err
		}
		for what, call := range forbiddenCalls {
			if errno := call(); errno != syscall.EPERM {
				return fmt.Errorf("%s: %v, not EPERM", what, errno)
			}
		}
		return errors.Join(work(), fileWork())
	}
}

// forbiddenCalls are made with arguments that do nothing.
var forbiddenCalls = map[string]func() syscall.Errno{
	"ptrace":            func() syscall.Errno { return raw(unix.SYS_PTRACE, ^uintptr(0), 0) },
	"bpf":               func() syscall.Errno { return raw(unix.SYS_BPF, ^uintptr(0), 0) },
	"process_vm_writev": func() syscall.Errno { return raw(unix.SYS_PROCESS_VM_WRITEV, ^uintptr(0), 0) },
	"finit_module":      func() syscall.Errno { return raw(unix.SYS_FINIT_MODULE, ^uintptr(0), 0) },
	"unshare":           func() syscall.Errno { return raw(unix.SYS_UNSHARE, 0x1, 0) },
	"keyctl":            func() syscall.Errno { return raw(unix.SYS_KEYCTL, ^uintptr(0), 0) },
	"userfaultfd":       func() syscall.Errno { return raw(unix.SYS_USERFAULTFD, ^uintptr(0), 0) },
}

func raw(nr, a, b uintptr) syscall.Errno {
	_, _, errno := unix.RawSyscall(nr, a, b, 0)
	return errno
}

// fileWork writes a file on the engine and reads it back.
func fileWork() error {
	dir, err := os.MkdirTemp("", "ouro-faults")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "file")
	if err := file.WriteFile(name, []byte("some text"), 0o600); err != nil {
		return err
	}
	got, err := file.ReadFile(name)
	if err == nil && string(got) != "some text" {
		err = fmt.Errorf("read %q", got)
	}
	return err
}

// docs/seccomp.json is enough for an engine with sockets and files on either backend, and forbids what it should; and
// what it lists of io_uring is needed: without it the engine is on epoll.
func TestSeccompProfile(t *testing.T) {
	p, allowed, err := readProfile()
	require.NoError(t, err)
	require.Equal(t, "SCMP_ACT_ERRNO", p.DefaultAction)
	require.Equal(t, 1, p.DefaultErrnoRet)
	slices.Sort(allowed)
	require.Len(t, slices.Compact(slices.Clone(allowed)), len(allowed), "a call is listed twice")
	for _, b := range []string{"uring", "epoll"} {
		t.Run(b, func(t *testing.T) {
			if err := denytest.NoRing(); b == "uring" && err != nil {
				t.Skip(err)
			}
			require.Contains(t, runChild(t, "profiled", proactor.BackendEnv+"="+b), ": 20 exchanges")
		})
	}
	for _, call := range []string{"io_uring_setup", "io_uring_enter", "io_uring_register"} {
		t.Run("without "+call, func(t *testing.T) {
			if err := denytest.NoRing(); err != nil {
				t.Skip(err)
			}
			require.Contains(t, runChild(t, "profiled", proactor.BackendEnv+"=auto", leftOutEnv+"="+call), "epoll: 20 exchanges")
		})
	}
}
