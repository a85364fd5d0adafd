//go:build linux

package denytest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain answers a child of TestApply with what the kernel says to each call.
func TestMain(m *testing.M) {
	if os.Getenv(Env) == "" {
		os.Exit(m.Run())
	}
	if err := Apply(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, name := range []string{"setup", "enter", "register"} {
		_, _, errno := unix.Syscall6(calls[name], ^uintptr(0), 0, 0, 0, 0, 0)
		fmt.Printf("%s %v\n", name, unix.ErrnoName(errno))
	}
	var l unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l)
	fmt.Println("uid", os.Getuid(), "memlock", l.Cur)
}

func child(t *testing.T, deny string) string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), Env+"="+deny)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func TestApply(t *testing.T) {
	// The calls are made with a descriptor that is none, so a call that is let through says EBADF or EFAULT.
	for _, c := range []struct{ name, errno string }{
		{"setup", "EACCES"}, {"setup", "ENOSYS"}, {"enter", "EACCES"}, {"register", "ENOSYS"},
	} {
		t.Run(c.name+"="+c.errno, func(t *testing.T) {
			require.Contains(t, child(t, c.name+"="+c.errno), c.name+" "+c.errno+"\n")
		})
	}
	t.Run("only that call", func(t *testing.T) {
		require.NotContains(t, child(t, "setup=EACCES"), "enter EACCES")
	})
	t.Run("memlock", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("needs root, to change to another user")
		}
		require.Contains(t, child(t, "memlock=65536"), fmt.Sprintf("uid %d memlock 65536", Nobody))
	})
}

func TestApplyRefuses(t *testing.T) {
	for _, v := range []string{"setup", "setup=EIO", "fork=EPERM", "memlock=much"} {
		t.Setenv(Env, v)
		require.Error(t, Apply(), v)
	}
	require.Error(t, Syscalls(unix.EPERM))
}
