//go:build linux

package net

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// runAgain runs the calling test in a process of its own, with env added to the environment.
func runAgain(t *testing.T, env ...string) { runOnly(t, "^"+t.Name()+"$", env...) }

// runOnly runs the tests that match pattern in a process of their own, with env added to the environment.
func runOnly(t *testing.T, pattern string, env ...string) {
	out, err := childOutput(t, pattern, env...)
	require.NoError(t, err, "%s", out)
}

func childOutput(t *testing.T, pattern string, env ...string) ([]byte, error) {
	exe, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(exe, "-test.run="+pattern, "-test.count=1", "-test.timeout=300s")
	c.Env = append(os.Environ(), env...)
	return c.CombinedOutput()
}
