//go:build linux

package proactor

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/denytest"
)

// choice is what a child process tells of the engine that it started.
type choice struct {
	Backend, Reason, Err, Log string
	EPERM, ENOSYS             bool // what Err wraps
	Echoed                    bool
}

const choiceEnv = "OURO_TEST_CHOICE"

// TestChoiceChild is the child's side of the tests below: it suffers what denytest.Env says, starts an engine as Config
// and the environment ask for, echoes once through it, and prints its choice.
func TestChoiceChild(t *testing.T) {
	if os.Getenv(choiceEnv) == "" {
		t.Skip("this is the child of another test")
	}
	require.NoError(t, denytest.Apply())
	var c choice
	cfg := Config{Log: func(s string) { c.Log += s + "\n" }}
	if os.Getenv(choiceEnv) == "config" {
		cfg.Backend = IOUring
	}
	e, err := New(cfg)
	if err != nil {
		c.Err = err.Error()
		c.EPERM, c.ENOSYS = errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSYS)
	} else {
		c.Backend, c.Reason = e.Info().Backend.String(), e.Info().Reason
		c.Echoed = echoThrough(t, e)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, e.Shutdown(ctx))
	}
	require.NoError(t, json.NewEncoder(os.Stdout).Encode(c))
}

func echoThrough(t *testing.T, e *Engine) bool {
	l := listen(t)
	a, err := e.Accept(l, func(c *Conn) {
		_ = c.Start(func() {
			defer c.Close()
			p := make([]byte, 16)
			if n, err := c.Read(p); err == nil {
				_, _ = c.Write(p[:n])
			}
		}, nil, false)
	})
	require.NoError(t, err)
	defer a.Close()
	echoOnce(t, dial(t, l), []byte("still here"))
	return true
}

// choose runs the child and returns its choice. env is OURO_BACKEND.
func choose(t *testing.T, deny, env, config string) choice {
	cmd := exec.Command(os.Args[0], "-test.run=^TestChoiceChild$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), denytest.Env+"="+deny, BackendEnv+"="+env, choiceEnv+"="+config)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "{") {
			var c choice
			require.NoError(t, json.Unmarshal([]byte(line), &c))
			return c
		}
	}
	t.Fatalf("the child told nothing:\n%s", out)
	return choice{}
}

// needRing skips where io_uring cannot be had anyway, so that taking it away shows nothing.
func needRing(t *testing.T) {
	if err := denytest.NoRing(); err != nil {
		t.Skip("needs io_uring: ", err)
	}
}

func TestAutoFallsBack(t *testing.T) {
	needRing(t)
	for _, c := range []struct{ deny, reason, remedy, not string }{
		{"setup=EPERM", "seccomp filter or a security module forbids io_uring_setup", "seccomp profile", "sysctl"},
		{"setup=EACCES", "forbids io_uring_setup", "allow io_uring", "sysctl"},
		{"setup=ENOSYS", "no io_uring", "newer kernel", "sysctl"},
		{"enter=EPERM", "forbids io_uring_enter", "seccomp profile", "sysctl"},
		{"enter=ENOSYS", "hides io_uring_enter", "seccomp profile", "sysctl"},
		{"register=EPERM", "forbids io_uring_register", "seccomp profile", "sysctl"},
		{"register=ENOSYS", "hides io_uring_register", "seccomp profile", "sysctl"},
	} {
		t.Run(c.deny, func(t *testing.T) {
			got := choose(t, c.deny, "auto", "auto")
			require.Empty(t, got.Err)
			require.Equal(t, "epoll", got.Backend)
			require.Contains(t, got.Reason, c.reason)
			require.Contains(t, got.Reason, c.remedy)
			require.NotContains(t, got.Reason, c.not)
			require.Equal(t, 1, strings.Count(got.Log, got.Reason), "logged once: %q", got.Log)
			require.True(t, got.Echoed)
		})
	}
}

// TestAutoTakesTheRing is the other side of TestAutoFallsBack: with nothing denied the same child takes the ring.
func TestAutoTakesTheRing(t *testing.T) {
	needRing(t)
	for _, env := range []string{"", "auto"} {
		got := choose(t, "", env, "auto")
		require.Equal(t, choice{Backend: "io_uring", Echoed: true}, got)
	}
}

func TestForcedRingIsAnError(t *testing.T) {
	needRing(t)
	for _, c := range []struct {
		deny, env, config, cause string
		eperm                    bool
	}{
		{"setup=EPERM", "uring", "auto", "seccomp", true},
		{"setup=EPERM", "io_uring", "auto", "seccomp", true},
		{"setup=EPERM", "", "config", "seccomp", true},
		{"setup=EPERM", "epoll", "config", "seccomp", true}, // Config goes before the environment
		{"setup=ENOSYS", "uring", "auto", "no io_uring", false},
		{"enter=EPERM", "uring", "auto", "io_uring_enter", true},
	} {
		t.Run(c.deny+" "+c.env+" "+c.config, func(t *testing.T) {
			got := choose(t, c.deny, c.env, c.config)
			require.Contains(t, got.Err, "io_uring was asked for and does not work here")
			require.Contains(t, got.Err, c.cause)
			require.Equal(t, c.eperm, got.EPERM)
			require.Equal(t, !c.eperm, got.ENOSYS)
			require.Empty(t, got.Backend)
		})
	}
}

func TestForcedEpoll(t *testing.T) {
	for _, deny := range []string{"", "setup=EPERM"} {
		got := choose(t, deny, "epoll", "auto")
		require.Empty(t, got.Err)
		require.Equal(t, "epoll", got.Backend)
		require.Equal(t, "asked for", got.Reason)
		require.Empty(t, got.Log, "what was asked for needs no explanation")
		require.True(t, got.Echoed)
	}
}

func TestUnknownBackendName(t *testing.T) {
	got := choose(t, "", "kqueue", "auto")
	require.Contains(t, got.Err, `OURO_BACKEND="kqueue": use auto, uring or epoll`)
}

// TestNoLockedMemory takes RLIMIT_MEMLOCK away from a process without privileges. Kernels differ in whether rings count
// against it; where they do, the engine says so and goes on.
func TestNoLockedMemory(t *testing.T) {
	needRing(t)
	if os.Getuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	got := choose(t, "memlock=0", "auto", "auto")
	require.Empty(t, got.Err)
	require.True(t, got.Echoed)
	if got.Backend == "io_uring" {
		t.Skip("this kernel does not charge rings to RLIMIT_MEMLOCK")
	}
	require.Contains(t, got.Reason, "RLIMIT_MEMLOCK")
	require.Contains(t, got.Reason, "raise the limit")

	got = choose(t, "memlock=0", "uring", "auto")
	require.Contains(t, got.Err, "io_uring was asked for")
	require.Contains(t, got.Err, "RLIMIT_MEMLOCK")

	// Enough for a ring, perhaps, but not for one per worker and as large as asked for: whatever is chosen works.
	for _, limit := range []string{"16384", "65536", "262144", "1048576"} {
		got = choose(t, "memlock="+limit, "auto", "auto")
		require.Empty(t, got.Err, "memlock=%s", limit)
		require.True(t, got.Echoed)
		if got.Backend == "epoll" {
			require.Contains(t, got.Reason, "RLIMIT_MEMLOCK")
			require.Equal(t, 1, strings.Count(got.Log, got.Reason), "logged once: %q", got.Log)
		}
	}
}
