//go:build linux

package simtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var writeFlag = flag.Bool("sim.write", false, "write the simulation's part of docs/reliability.md anew from testdata/results.json")

// The simulation's part of docs/reliability.md stands between these lines.
const (
	partBegins = "<!-- simulation: written by go test ./internal/simtest -run Reliability -sim.write -->\n"
	partEnds   = "<!-- simulation: end -->\n"
)

// TestReliability: the documentation says what the runs have shown, and every mutation was found.
func TestReliability(t *testing.T) {
	var r results
	b, err := os.ReadFile(filepath.Join("testdata", "results.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &r))
	for _, m := range allMutations() {
		require.Contains(t, r.Mutations, m.name, "run it: -sim.mutate=all -sim.table=testdata/results.json")
	}
	path := filepath.Join(root, "docs", "reliability.md")
	doc, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(doc), partBegins)
	require.True(t, ok, "the part of the simulation is missing")
	is, after, ok := strings.Cut(rest, partEnds)
	require.True(t, ok, "the part of the simulation does not end")
	want := r.markdown()
	if *writeFlag {
		require.NoError(t, os.WriteFile(path, []byte(before+partBegins+want+partEnds+after), 0o644))
		return
	}
	require.Equal(t, want, is, "write it anew: go test ./internal/simtest -run Reliability -sim.write")
}

// markdown is the simulation's part.
func (r *results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d runs of streams, %d of files, %d of datagrams, %d of two workers and %d of sends without a copy, each of its own seed, without a failure. "+
		"What was injected into them:\n\n", r.Sum.Runs, r.Files.Runs, r.Datagrams.Runs, r.Workers.Runs, r.ZeroCopy.Runs)
	b.WriteString("| fault | streams | files | datagrams | two workers | without a copy |\n|---|---:|---:|---:|---:|---:|\n")
	names := maps.Clone(r.Sum.Injected)
	for _, s := range []summary{r.Files, r.Datagrams, r.Workers, r.ZeroCopy} {
		maps.Copy(names, s.Injected)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d |\n", name,
			r.Sum.Injected[name], r.Files.Injected[name], r.Datagrams.Injected[name], r.Workers.Injected[name], r.ZeroCopy.Injected[name])
	}
	fmt.Fprintf(&b, "\n%d bugs were put back on purpose, and all were found. The first seed that shows each (–: only threads show it, a test with them):\n\n", len(allMutations()))
	b.WriteString("| bug | seed | what the run shows |\n|---|---:|---|\n")
	for _, m := range allMutations() {
		seed, why, _ := strings.Cut(strings.TrimPrefix(r.Mutations[m.name], "seed "), " fails: ")
		if len(why) > 100 {
			why = why[:100] + " …"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.name, seed, strings.ReplaceAll(why, "|", "/"))
	}
	b.WriteString("\n")
	return b.String()
}
