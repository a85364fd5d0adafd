//go:build linux

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ouro-io/ouro/internal/denytest"
)

// childEnv names the part that a child process plays.
const childEnv = "OURO_FAULTS_CHILD"

// parts are what children do; each returns an error to fail.
var parts = map[string]func() error{}

// atStart has the descriptors that whoever started the tests has left open.
var atStart = map[int]string{}

// hangs guards against a test that would never end.
const hangs = 2 * time.Minute

func TestMain(m *testing.M) {
	if part := os.Getenv(childEnv); part != "" {
		if err := play(part); err != nil {
			fmt.Println("child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	for fd := range 1024 {
		atStart[fd] = name(fd)
	}
	before := openFiles()
	code := m.Run()
	// What closes one may be a moment behind who waited for it.
	end := time.Now().Add(30 * time.Second)
	err := goleak.Find()
	for err != nil && code == 0 && time.Now().Before(end) {
		err = goleak.Find()
	}
	if err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	for code == 0 && openFiles() > before+runtimePoller && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := openFiles(); n > before+runtimePoller && code == 0 {
		fmt.Printf("descriptors leaked: %d before, %d after\n", before, n)
		code = 1
	}
	os.Exit(code)
}

func play(part string) error {
	f := parts[part]
	if f == nil {
		return fmt.Errorf("no part %q", part)
	}
	if err := denytest.Apply(); err != nil {
		return err
	}
	if err := os.Unsetenv(denytest.Env); err != nil {
		return err
	}
	return f()
}

// runtimePoller is how many descriptors the Go runtime opens for its poller at first use and keeps.
const runtimePoller = 2

// openFiles counts the open descriptors, without pipes: the standard library pools those that it splices through.
func openFiles() (n int) {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	for _, f := range d {
		if to, _ := os.Readlink("/proc/self/fd/" + f.Name()); !strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

// child is a process that will play a part, with env added to the environment.
func child(part string, env ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", "-test.timeout=5m")
	c.Env = append(append(os.Environ(), childEnv+"="+part), env...)
	return c
}

// runChild runs a child to its end and returns what it has printed.
func runChild(t *testing.T, part string, env ...string) string {
	out, err := child(part, env...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", part, env, out)
	return string(out)
}

// needRoot skips without root.
func needRoot(t *testing.T, why string) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to ", why)
	}
}
