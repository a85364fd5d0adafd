package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/proc"
	"github.com/ouro-io/ouro/bench/internal/report"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

// tiny is a plan that takes a moment.
func tiny(t *testing.T, cells []suite.Cell, contestants ...*contestant.Contestant) suite.Plan {
	src, err := fs.Sub(sources, "c")
	require.NoError(t, err)
	return suite.Plan{Cells: cells, Contestants: contestants, Rounds: 1, Procs: 2, Warmup: time.Millisecond,
		Window: 30 * time.Millisecond, Settle: time.Millisecond, IdleWindow: 30 * time.Millisecond,
		Self: []string{os.Args[0]}, Sources: src, BuildDir: t.TempDir(), StartLimit: 30 * time.Second}
}

func cellsOf(s load.Scenario, m suite.Mode) suite.Cell {
	c := suite.Cell{Scenario: s, Mode: m, Conns: 5, Size: 64, Pipeline: 3}
	if s == load.Sink {
		c.Size = 256 << 10
	}
	return c
}

// run carries p out and fails t for what is left behind.
func run(t *testing.T, p suite.Plan) []suite.Sample {
	files := openFiles(t)
	samples, err := suite.Run(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, files, openFiles(t), "open descriptors")
	return samples
}

func openFiles(t *testing.T) int {
	d, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(d)
}

// Every contestant really runs in every scenario and mode, so that none rots.
func TestEveryContestant(t *testing.T) {
	cpus, err := proc.CPUs()
	require.NoError(t, err)
	for _, c := range contestant.All() {
		t.Run(c.Name, func(t *testing.T) {
			var cells []suite.Cell
			for i, s := range load.Scenarios {
				m := suite.Modes[i%len(suite.Modes)]
				if m == suite.Sep && len(cpus) < 2 {
					m = suite.Same
				}
				if c.Takes(s, false) {
					cells = append(cells, cellsOf(s, m))
				}
			}
			p := tiny(t, cells, c)
			if c.Build != nil {
				if _, err := c.Build(p.Sources, p.BuildDir); err != nil {
					t.Skip(err)
				}
			}
			for _, s := range run(t, p) {
				if strings.Contains(s.Error, "io_uring") && strings.Contains(s.Error, "not permitted") {
					t.Skip(s.Error)
				}
				require.Empty(t, s.Error)
				checkResult(t, p.Cells[s.Cell], s)
			}
		})
	}
}

func checkResult(t *testing.T, c suite.Cell, s suite.Sample) {
	require.Positive(t, s.Result.WindowNs)
	switch c.Scenario {
	case load.Echo:
		require.Positive(t, s.Result.Requests)
		require.Positive(t, s.Result.ServerCPUNs)
	case load.Sink:
		require.Positive(t, s.Result.Bytes)
		require.Positive(t, s.Result.ServerCPUNs)
	case load.Idle:
		require.EqualValues(t, c.Conns+1, s.Result.TotalRequests)
	}
}

// script is a contestant that runs a shell script.
func script(t *testing.T, name, text string) *contestant.Contestant {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	return &contestant.Contestant{Name: name, About: name,
		Build: func(fs.FS, string) (string, error) { return path, nil }}
}

// One contestant's misfortune is told, ends its part in that cell, and nothing else.
func TestContestantsThatFail(t *testing.T) {
	std, err := contestant.Find(contestant.Baseline)
	require.NoError(t, err)
	unbuilt := &contestant.Contestant{Name: "unbuilt",
		Build: func(fs.FS, string) (string, error) { return "", errors.New("install a compiler") }}
	for _, c := range []struct {
		*contestant.Contestant
		want string
	}{
		{unbuilt, "install a compiler"},
		{script(t, "dies", "echo no memory >&2; exit 3"), "did not start: exit status 3: no memory"},
		{script(t, "silent", "cat >/dev/null"), "did not listen within"},
		{script(t, "deaf", "echo listening 127.0.0.1:1; cat >/dev/null"), "connection refused"},
		{script(t, "liar", "echo listening nowhere; cat >/dev/null"), "nowhere"},
	} {
		t.Run(c.Name, func(t *testing.T) {
			p := tiny(t, []suite.Cell{cellsOf(load.Echo, suite.Free)}, c.Contestant, std)
			p.Rounds = 2
			if c.Name == "silent" {
				p.StartLimit = 300 * time.Millisecond
				p.Contestants = p.Contestants[:1]
			}
			var failed, good int
			for _, s := range run(t, p) {
				if s.Contestant == c.Name {
					failed++
					require.Contains(t, s.Error, c.want)
				} else {
					good++
					require.Empty(t, s.Error)
				}
			}
			require.Equal(t, 1, failed, "tried again after a failure")
			if len(p.Contestants) == 2 {
				require.Equal(t, 2, good)
			}
		})
	}
}

func TestInterruptEndsTheChildren(t *testing.T) {
	std, err := contestant.Find(contestant.Baseline)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	p := tiny(t, []suite.Cell{cellsOf(load.Echo, suite.Free)}, std)
	p.Window = time.Hour
	p.Progress = func(int, int, string) { time.AfterFunc(100*time.Millisecond, cancel) }
	files := openFiles(t)
	_, err = suite.Run(ctx, p)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, files, openFiles(t))
}

func TestPlansThatAreRefused(t *testing.T) {
	std, err := contestant.Find(contestant.Baseline)
	require.NoError(t, err)
	for name, change := range map[string]func(*suite.Plan){
		"no rounds":      func(p *suite.Plan) { p.Rounds = 0 },
		"no contestants": func(p *suite.Plan) { p.Contestants = nil },
		"mode":           func(p *suite.Plan) { p.Cells[0].Mode = "both" },
		"procs":          func(p *suite.Plan) { p.Procs = -1 },
		"window":         func(p *suite.Plan) { p.Window = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			p := tiny(t, []suite.Cell{cellsOf(load.Echo, suite.Free)}, std)
			change(&p)
			_, err := suite.Run(t.Context(), p)
			require.Error(t, err)
		})
	}
}

func TestSamplesBecomeATable(t *testing.T) {
	std, err := contestant.Find(contestant.Baseline)
	require.NoError(t, err)
	twin, err := contestant.Find(contestant.Twin)
	require.NoError(t, err)
	p := tiny(t, []suite.Cell{cellsOf(load.Echo, suite.Same)}, std, twin)
	tables := report.Summarize(&p, run(t, p))
	require.Len(t, tables, 1)
	require.Len(t, tables[0].Rows, 2)
	require.Contains(t, tables[0].Resolution, "serverCpuNsPerRequest")
}
