package contestant

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRegistry(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		require.NotEmpty(t, c.About, c.Name)
		require.NotEmpty(t, c.Roles, c.Name)
		require.False(t, seen[c.Name], "%s is there twice", c.Name)
		seen[c.Name] = true
		kinds := 0
		for _, is := range []bool{c.Program != nil, c.Module != "", c.C != ""} {
			if is {
				kinds++
			}
		}
		require.Equal(t, 1, kinds, "%s must come from one place", c.Name)
		found, err := Find(c.Name)
		require.NoError(t, err)
		require.Equal(t, c.Name, found.Name)
	}
	require.True(t, seen[Baseline])
	require.True(t, seen[Twin])
	require.True(t, seen[Limit])
	_, err := Find("nobody")
	require.ErrorContains(t, err, "gnet")
}

// fakeGCC puts a script in the place of gcc.
func fakeGCC(t *testing.T, script string) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gcc"), []byte("#!/bin/sh\n"+script), 0o755))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

var fakeSources = fstest.MapFS{"common.h": {Data: []byte("//")}, "uring.c": {Data: []byte("//")}}

func TestBuildOnce(t *testing.T) {
	calls := filepath.Join(t.TempDir(), "calls")
	fakeGCC(t, "echo x >>"+calls+"; : >server")
	dir := filepath.Join(t.TempDir(), "cache")
	first, err := buildC(t.Context(), fakeSources, dir, "uring")
	require.NoError(t, err)
	again, err := buildC(t.Context(), fakeSources, dir, "uring")
	require.NoError(t, err)
	require.Equal(t, first, again)
	other, err := buildC(t.Context(), fakeSources, dir, "uring", "-lother")
	require.NoError(t, err)
	require.NotEqual(t, first, other)
	b, err := os.ReadFile(calls)
	require.NoError(t, err)
	require.Equal(t, "x\nx\n", string(b))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "the directories built in are gone")
}

func TestBuildSaysWhatIsMissing(t *testing.T) {
	for said, want := range map[string]string{
		"uring.c:7:10: fatal error: liburing.h: No such file or directory": "apt-get install liburing-dev",
		"ld: cannot find -luring":                                 "apt-get install liburing-dev",
		"uring.c:9: error: IORING_SETUP_DEFER_TASKRUN undeclared": "older than 2.3",
		"uring.c:9: error: expected ;":                            "expected ;",
	} {
		fakeGCC(t, "echo '"+said+"' >&2; exit 1")
		_, err := buildC(t.Context(), fakeSources, t.TempDir(), "uring")
		require.ErrorContains(t, err, want)
	}
	t.Setenv("PATH", t.TempDir())
	_, err := buildC(t.Context(), fakeSources, t.TempDir(), "uring")
	require.ErrorContains(t, err, "gcc is not installed")
}
