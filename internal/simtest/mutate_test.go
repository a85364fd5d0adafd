//go:build linux

package simtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	mutateFlag = flag.String("sim.mutate", "", "run the mutations whose name contains this; all means all")
	budgetFlag = flag.Int("sim.budget", 8000, "within how many seeds a mutation must be found")
)

// root is the module's, seen from this folder.
const root = "../.."

// allMutations are those of each kind of run, and those that only threads show.
func allMutations() []mutation {
	all := slices.Concat(mutations, fileMutations, gramMutations, workerMutations, zeroCopyMutations)
	for _, m := range threadMutations {
		all = append(all, m.mutation)
	}
	return all
}

// kind is that of the runs that must find m.
func (m mutation) kind() kind {
	switch {
	case slices.Contains(fileMutations, m):
		return files
	case slices.Contains(gramMutations, m):
		return datagrams
	case slices.Contains(workerMutations, m):
		return workers
	case slices.Contains(zeroCopyMutations, m):
		return zeroCopy
	}
	return sockets
}

// mutated is the file of m with the bug in it.
func (m mutation) mutated(t *testing.T) (path string, src []byte) {
	path, err := filepath.Abs(filepath.Join(root, m.file))
	require.NoError(t, err)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(b), m.old), "%s: the code has changed: the mutation must say anew what it replaces", m.name)
	return path, []byte(strings.Replace(string(b), m.old, m.new, 1))
}

// TestMutationsFit: each still says what it replaces, once, and what comes out is Go.
func TestMutationsFit(t *testing.T) {
	names := map[string]bool{}
	for _, m := range allMutations() {
		require.False(t, names[m.name], "%s: twice", m.name)
		names[m.name] = true
		_, src := m.mutated(t)
		_, err := parser.ParseFile(token.NewFileSet(), m.file, src, 0)
		require.NoError(t, err, m.name)
	}
}

// TestMutations puts each bug back, by way of an overlay of the go command, and has the simulation look for it, or the test
// with threads that must find it. It takes some seconds each and runs only when asked: -sim.mutate=all.
func TestMutations(t *testing.T) {
	if *mutateFlag == "" {
		t.Skip("builds the engine once per mutation; run it with -sim.mutate=all")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command: ", err)
	}
	for _, m := range allMutations() {
		if *mutateFlag != "all" && !strings.Contains(m.name, *mutateFlag) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			began := time.Now()
			why := m.hunt(t)
			require.NotEmpty(t, why, "it was not found within %d seeds", *budgetFlag)
			t.Logf("%.1f s: %s", time.Since(began).Seconds(), why)
			if *tableFlag != "" {
				require.NoError(t, addMutation(*tableFlag, m.name, why))
			}
		})
	}
}

// build makes the test binary of the package in dir with the bug in it.
func (m mutation) build(t *testing.T, dir string) (binary string) {
	tmp := t.TempDir()
	path, src := m.mutated(t)
	changed, overlay := filepath.Join(tmp, "changed.go"), filepath.Join(tmp, "overlay.json")
	require.NoError(t, os.WriteFile(changed, src, 0o644))
	b, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, b, 0o644))
	binary = filepath.Join(tmp, "mutated.test")
	build := exec.Command("go", "test", "-vet=off", "-overlay", overlay, "-c", "-o", binary, ".")
	build.Dir = dir
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// hunt looks for m where it must be found. It returns what was found, empty if nothing was.
func (m mutation) hunt(t *testing.T) string {
	for _, tm := range threadMutations {
		if tm.mutation == m {
			return tm.hunt(t)
		}
	}
	binary := m.build(t, ".")
	of := m.kind()
	run := exec.Command(binary, "-test.run="+of.test(), "-test.timeout=5m", "-sim.shrink=false",
		fmt.Sprint("-sim.seeds=", *budgetFlag), fmt.Sprint("-sim.files=", *budgetFlag), fmt.Sprint("-sim.datagrams=", *budgetFlag),
		fmt.Sprint("-sim.workers=", *budgetFlag), fmt.Sprint("-sim.zerocopy=", *budgetFlag))
	out, err := run.CombinedOutput()
	if err == nil {
		return ""
	}
	for line := range strings.Lines(string(out)) {
		if _, why, ok := strings.Cut(line, "seed "); ok {
			return "seed " + strings.TrimSpace(why)
		}
	}
	t.Fatalf("the run failed without a seed: %s", out)
	return ""
}

// addMutation notes in the file that the bug was found.
func addMutation(path, name, why string) error {
	return update(path, func(r *results) { r.Mutations[name] = why })
}
