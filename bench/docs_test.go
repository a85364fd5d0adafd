package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/bench/internal/report"
)

// The documents say what the results say.
func TestDocumentsAreUpToDate(t *testing.T) {
	require.NoError(t, updateDocs(filepath.Join("..", "docs"), false))
}

// One command brings them up to date, and a second time changes nothing.
func TestDocsCommand(t *testing.T) {
	dir := t.TempDir()
	for _, p := range report.Parts() {
		src, err := os.ReadFile(filepath.Join("..", "docs", p.File))
		require.NoError(t, err)
		text, err := report.Replace(string(src), p.Name, "stale")
		require.NoError(t, err)
		if old, err := os.ReadFile(filepath.Join(dir, p.File)); err == nil {
			text, err = report.Replace(string(old), p.Name, "stale")
			require.NoError(t, err)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, p.File), []byte(text), 0o644))
	}
	cmd := rootCommand()
	cmd.SetArgs([]string{"docs", filepath.Join("..", "docs", resultsFile), "--dir", dir})
	require.NoError(t, cmd.ExecuteContext(t.Context()))
	require.NoError(t, updateDocs(dir, false))
	for _, name := range []string{resultsFile, "benchmarks.md", "choosing.md"} {
		want, err := os.ReadFile(filepath.Join("..", "docs", name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "choosing.md"), []byte("nothing"), 0o644))
	require.ErrorContains(t, updateDocs(dir, true), "generated: tree")
}
