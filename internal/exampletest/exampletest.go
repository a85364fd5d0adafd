// Package exampletest builds and runs the examples as a user would. For tests only.
package exampletest

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Build builds the programs in the test's folder and below, and returns the folder that they are in. It skips the test where
// there is no go command. What the programs import is not seen by the cache of test results: import it from the test, too.
func Build(t testing.TB) (bin string) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command: ", err)
	}
	bin = t.TempDir()
	out, err := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "./...").CombinedOutput()
	require.NoError(t, err, string(out))
	return bin
}

var address = regexp.MustCompile(` on (\S+)`)

// Start runs a server on a backend (auto or epoll) until the test ends, and returns the address that it says it listens on.
func Start(t testing.TB, backend, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "OURO_BACKEND="+backend)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if m := address.FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
		t.Log(lines.Text())
	}
	t.Fatal("the program ended before it listened")
	return ""
}

// Refused runs a program whose flags are wrong, and returns what it says: it must end by itself, with a status other than 0.
func Refused(t testing.TB, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // against hanging only
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	require.NoError(t, ctx.Err(), "it goes on: %s", out)
	require.IsType(t, (*exec.ExitError)(nil), err, "%s", out)
	return string(out)
}
