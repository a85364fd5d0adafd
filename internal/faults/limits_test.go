//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	stdnet "net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/proactor"
)

const nofileEnv = "OURO_FAULTS_NOFILE"

// enoughFiles is a limit of descriptors with which all of work succeeds.
const enoughFiles = 64

func init() { parts["work"] = work }

// work starts a rig with whatever the environment allows, does verified work on it, and prints what it ran on. An engine
// that cannot start must say why by an errno, and leave nothing behind.
func work() error {
	soon := time.Second // enough to see that nothing comes
	if v := os.Getenv(nofileEnv); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return err
		}
		if n >= enoughFiles {
			soon = hangs
		}
		warm()
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			return err
		}
	}
	before := openFiles()
	r, err := startRig(proactor.Config{Workers: 2, Log: func(string) {}}, "127.0.0.1", nil)
	if err != nil {
		var errno syscall.Errno
		if !errors.As(err, &errno) {
			return fmt.Errorf("an error without an errno: %w", err)
		}
		if n := openFiles(); n > before+runtimePoller {
			return fmt.Errorf("%w: and %d descriptors are left", err, n-before)
		}
		fmt.Printf("none: %v\n", errno)
		return nil
	}
	done, exchanges := 0, uint64(20)
	if os.Getenv(nofileEnv) != "" {
		exchanges = 3
	}
	for i := range exchanges {
		c, err := stdnet.DialTimeout("tcp", r.relay.Addr().String(), time.Minute)
		if err == nil {
			// Without descriptors for both sides the server cannot accept, or the relay not dial: the client waits or is
			// hung up on, but never gets wrong bytes.
			err = c.SetDeadline(time.Now().Add(soon))
			if err == nil && os.Getenv(nofileEnv) == "" {
				err = exchange(c, i, 100_000)
			} else if err == nil {
				err = exchangeSoon(c, i, soon)
			}
			_ = c.Close()
		}
		switch {
		case err == nil:
			done++
		case strings.Contains(err.Error(), "other bytes"):
			return err
		case os.Getenv(nofileEnv) == "":
			return err
		}
	}
	i := r.engine.Info()
	fmt.Printf("%v: %d exchanges: %s\n", i.Backend, done, i.Reason)
	return r.stop()
}

// warm has the Go runtime open the descriptors of its poller, without which it ends the process.
func warm() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

// exchangeSoon is a small exchange that gives up soon.
func exchangeSoon(c stdnet.Conn, seed uint64, soon time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	return exchange(c, seed, 3_000)
}

// System calls of io_uring are forbidden, one by one: the work is done all the same.
func TestWorkWithoutTheRing(t *testing.T) {
	for _, deny := range []string{
		"setup=EPERM", "setup=ENOSYS", "setup=EACCES", "enter=EPERM", "enter=ENOSYS", "register=EPERM", "register=ENOSYS",
	} {
		t.Run(deny, func(t *testing.T) {
			out := runChild(t, "work", denytest.Env+"="+deny, proactor.BackendEnv+"=auto")
			require.Contains(t, out, "epoll: 20 exchanges: ")
			require.Contains(t, out, "io_uring")
		})
	}
	t.Run("nothing denied", func(t *testing.T) {
		if err := denytest.NoRing(); err != nil {
			t.Skip(err)
		}
		require.Contains(t, runChild(t, "work", proactor.BackendEnv+"=auto"), "io_uring: 20 exchanges")
	})
}

// An ordinary user may lock little memory: whatever is chosen then does the work. Kernels differ in what they charge.
func TestWorkWithoutLockedMemory(t *testing.T) {
	needRoot(t, "become another user")
	for _, limit := range []uint64{0, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 8 << 20, 1 << 30} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			if most := mostLocked(t); limit > most {
				t.Skipf("this process may lock %d bytes at most", most)
			}
			out := runChild(t, "work", fmt.Sprintf("%s=memlock=%d", denytest.Env, limit), proactor.BackendEnv+"=auto")
			require.Contains(t, out, ": 20 exchanges")
			if strings.HasPrefix(out, "epoll") && denytest.NoRing() == nil {
				require.Contains(t, out, "RLIMIT_MEMLOCK")
				require.Less(t, limit, uint64(1<<30))
			}
		})
	}
}

// mostLocked is the highest RLIMIT_MEMLOCK that can be set here.
func mostLocked(t *testing.T) uint64 {
	var l unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l))
	return l.Max
}

// Few descriptors, from too few for an engine to plenty: it either says so and leaves nothing behind, or works as far as
// they go, and never gives wrong bytes.
func TestWorkWithFewDescriptors(t *testing.T) {
	needRoot(t, "become another user")
	for _, backend := range []string{"uring", "epoll"} {
		if err := denytest.NoRing(); backend == "uring" && err != nil {
			t.Log(err)
			continue
		}
		for _, limit := range []int{8, 12, 16, 20, 24, 32, 64, 4096} {
			t.Run(fmt.Sprint(backend, limit), func(t *testing.T) {
				out := runChild(t, "work", fmt.Sprintf("%s=memlock=%d", denytest.Env, min(mostLocked(t), 1<<30)), proactor.BackendEnv+"="+backend,
					fmt.Sprintf("%s=%d", nofileEnv, limit))
				switch {
				case limit <= 8:
					require.Contains(t, out, "none: "+unix.EMFILE.Error())
				case limit >= enoughFiles:
					require.Contains(t, out, ": 3 exchanges")
				default:
					t.Log(out)
				}
			})
		}
	}
}
