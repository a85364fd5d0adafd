//go:build linux

package simtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A threadMutation is a bug that a simulation cannot show, as there one worker acts at a time, from one Poll to the next. A
// test with threads, of the package that has the bug, must find it.
type threadMutation struct {
	mutation
	test string
}

var threadMutations = []threadMutation{
	// Until the commands that tasks and timers send had a look of their own, seed 12 of the streams showed it.
	{mutation{"a worker does not look for commands before it sleeps", "executor/worker.go",
		"	return !w.injected.empty() || !w.sent.empty() || w.stop.Load() ||", "	return !w.injected.empty() || w.stop.Load() ||"},
		"TestCommandCoalesces"},
}

// hunt runs the test on the mutated package. It returns what was found, empty if nothing was.
func (m threadMutation) hunt(t *testing.T) string {
	binary := m.build(t, filepath.Join(root, filepath.Dir(m.file)))
	run := exec.Command(binary, "-test.run=^"+m.test+"$", "-test.count=10", "-test.timeout=30s")
	run.Dir = filepath.Join(root, filepath.Dir(m.file))
	run.Env = append(os.Environ(), "GOTRACEBACK=none")
	out, err := run.CombinedOutput()
	if err == nil {
		return ""
	}
	require.NotContains(t, string(out), "no tests to run")
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "--- FAIL") {
			return "seed – fails: " + m.test + " of " + filepath.Dir(m.file) + ": " + strings.TrimSpace(line)
		}
	}
	t.Fatalf("the run failed without a word: %s", out)
	return ""
}
