package contestant

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ouro-io/ouro/bench/internal/load"
)

func TestMain(m *testing.M) {
	Quiet()
	goleak.VerifyTestMain(m)
}

func TestRegistry(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		require.NotEmpty(t, c.About, c.Name)
		require.False(t, seen[c.Name], "%s is there twice", c.Name)
		seen[c.Name] = true
		require.NotEqual(t, c.Serve == nil, c.Build == nil, "%s must be either Go code or a program", c.Name)
		found, err := Find(c.Name)
		require.NoError(t, err)
		require.Equal(t, c.Name, found.Name)
	}
	require.True(t, seen[Baseline])
	require.True(t, seen[Twin])
	_, err := Find("nobody")
	require.ErrorContains(t, err, "gnet")
}

func TestSelection(t *testing.T) {
	c := Contestant{}
	require.True(t, c.Takes(load.Echo, true))
	c.DefaultIn = []load.Scenario{load.Idle}
	require.False(t, c.Takes(load.Echo, true))
	require.True(t, c.Takes(load.Echo, false))
	require.True(t, c.Takes(load.Idle, true))
	c.Scenarios = []load.Scenario{load.Sink}
	require.False(t, c.Takes(load.Idle, false))
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
	first, err := buildC(fakeSources, dir, "uring")
	require.NoError(t, err)
	again, err := buildC(fakeSources, dir, "uring")
	require.NoError(t, err)
	require.Equal(t, first, again)
	other, err := buildC(fakeSources, dir, "uring", "-lother")
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
		_, err := buildC(fakeSources, t.TempDir(), "uring")
		require.ErrorContains(t, err, want)
	}
	t.Setenv("PATH", t.TempDir())
	_, err := buildC(fakeSources, t.TempDir(), "uring")
	require.ErrorContains(t, err, "gcc is not installed")
}

// pipe is a connection whose writes fail after some.
type pipe struct {
	in     []string
	out    []string
	writes int
}

func (p *pipe) Read(b []byte) (int, error) {
	if len(p.in) == 0 {
		return 0, errors.New("end")
	}
	n := copy(b, p.in[0])
	p.in = p.in[1:]
	return n, nil
}

func (p *pipe) Write(b []byte) (int, error) {
	if p.writes--; p.writes < 0 {
		return 0, errors.New("broken")
	}
	p.out = append(p.out, string(b))
	return len(b), nil
}

func TestBlockingHandler(t *testing.T) {
	p := &pipe{in: []string{"a", "bc", "d"}, writes: 2}
	echoBlocking(p, false, 16)
	require.Equal(t, []string{"a", "bc"}, p.out)
	require.Empty(t, p.in)
	p = &pipe{in: []string{"a", "bc"}}
	echoBlocking(p, true, 16)
	require.Empty(t, p.out)
	require.Empty(t, p.in)
}
