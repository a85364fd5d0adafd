package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/proc"
	"github.com/ouro-io/ouro/bench/internal/report"
	"github.com/ouro-io/ouro/bench/internal/suite"
	"github.com/ouro-io/ouro/bench/protocol"
)

// programs is where the tests of one run keep what they compile.
var programs = filepath.Join(os.TempDir(), "ouro-bench-test")

// tiny is a plan that takes a moment.
func tiny(t *testing.T, cells []suite.Cell, who ...string) suite.Plan {
	src, err := fs.Sub(sources, "c")
	require.NoError(t, err)
	return suite.Plan{Cells: cells, Who: func(*suite.Scenario) []string { return who }, Rounds: 1, Procs: 2,
		Warmup: time.Millisecond, Window: 30 * time.Millisecond, Settle: time.Millisecond, IdleWindow: 30 * time.Millisecond,
		ProfileWindow: 50 * time.Millisecond, TimerSpread: 20 * time.Millisecond, FileBytes: 1 << 20, Scratch: t.TempDir(),
		StartLimit: 30 * time.Second,
		Builder:    &contestant.Builder{Self: []string{os.Args[0]}, Sources: src, Rivals: findRivals(), Dir: programs}}
}

// tinyCell is a small cell of scenario s.
func tinyCell(t *testing.T, s *suite.Scenario, m suite.Mode) suite.Cell {
	cpus, err := proc.CPUs()
	require.NoError(t, err)
	if m == suite.Sep && len(cpus) < 2 {
		m = suite.Same
	}
	c := suite.Cell{Scenario: s.Name, Mode: m, Conns: 5, Size: min(s.Size, 256<<10), Pipeline: 3, Rate: min(s.Rate, 500)}
	if len(s.Variants) > 0 {
		c.Variant = s.Variants[len(s.Variants)-1]
	}
	if s.Load == "" {
		c.Conns, c.Mode = 1000, suite.Free
	}
	return c
}

// run carries p out and fails t for what is left behind.
func run(t *testing.T, p suite.Plan) []suite.Sample {
	files := openFiles(t)
	samples, err := suite.Run(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, files, openFiles(t), "open descriptors")
	left, err := os.ReadDir(p.Scratch)
	require.NoError(t, err)
	require.Empty(t, left, "files left behind")
	return samples
}

// runLongEnough is run, again with a longer window where somebody got nothing done, as on a machine that is busy.
func runLongEnough(t *testing.T, p suite.Plan) []suite.Sample {
	for {
		samples := run(t, p)
		idle := slices.ContainsFunc(samples, func(x suite.Sample) bool { return x.Error == "" && x.Result.TotalRequests == 0 && x.Result.Bytes == 0 })
		if !idle || p.Window > 10*time.Second {
			return samples
		}
		p.Window *= 8
	}
}

func openFiles(t *testing.T) int {
	d, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(d)
}

// Everybody really runs in every scenario that it can take part in, so that none rots. A rival that cannot be built, or
// fails, is not our failure; what it says is shown.
func TestEveryScenario(t *testing.T) {
	for i, s := range suite.All() {
		t.Run(s.Name, func(t *testing.T) {
			p := tiny(t, []suite.Cell{tinyCell(t, s, suite.Modes[i%len(suite.Modes)])}, s.Contestants...)
			who, err := p.Runs(p.Cells[0])
			require.NoError(t, err)
			require.Len(t, who, len(s.Contestants), "everybody listed can play the role")
			for _, x := range runLongEnough(t, p) {
				c, err := contestant.Find(x.Contestant)
				require.NoError(t, err)
				switch {
				case x.Error == "":
					checkResult(t, s, p.Cells[0], x)
				case c.Program == nil, strings.Contains(x.Error, "not permitted"):
					t.Logf("%s: %s", x.Contestant, x.Error)
				default:
					t.Errorf("%s: %s", x.Contestant, x.Error)
				}
			}
		})
	}
}

func checkResult(t *testing.T, s *suite.Scenario, c suite.Cell, x suite.Sample) {
	require.Positive(t, x.Result.WindowNs, x.Contestant)
	switch s.Load {
	case load.Sink:
		require.Positive(t, x.Result.Bytes, x.Contestant)
	case load.Idle:
		require.EqualValues(t, c.Conns+1, x.Result.TotalRequests, x.Contestant)
	default:
		require.Positive(t, x.Result.TotalRequests, x.Contestant)
	}
	if s.Role == protocol.Timers {
		require.EqualValues(t, c.Conns, x.Result.Requests)
	}
}

// Everybody who plays a role by other means than in the scenarios' lists runs as well.
func TestEveryOwnRole(t *testing.T) {
	byRole := map[protocol.Role]*suite.Scenario{}
	for _, s := range suite.All() {
		if byRole[s.Role] == nil {
			byRole[s.Role] = s
		}
	}
	for _, c := range contestant.All() {
		if c.Program == nil {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			var cells []suite.Cell
			for _, r := range c.Roles {
				require.Contains(t, byRole, r)
				cells = append(cells, tinyCell(t, byRole[r], suite.Free))
			}
			for _, x := range runLongEnough(t, tiny(t, cells, c.Name)) {
				if strings.Contains(x.Error, "not permitted") {
					t.Skip(x.Error)
				}
				require.Empty(t, x.Error, "%v", cells[x.Cell])
			}
		})
	}
}

func TestProfiledRound(t *testing.T) {
	s, err := suite.Find(suite.EchoName)
	require.NoError(t, err)
	p := tiny(t, []suite.Cell{tinyCell(t, s, suite.Free)}, contestant.Baseline, "ouro-serve")
	p.Profiled, p.ProfileWindow = []int{0}, 500*time.Millisecond
	samples := run(t, p)
	require.Len(t, samples, 4)
	for _, x := range samples[2:] {
		require.Empty(t, x.Error)
		require.True(t, x.Profiled)
		require.NotEmpty(t, x.Layers)
		sum := 0.0
		for _, v := range x.Layers {
			sum += v
		}
		require.InDelta(t, 1, sum, 1e-9)
		if proc.CanCountSyscalls() == nil {
			require.Positive(t, x.Result.ServerSyscalls)
			require.Positive(t, x.SyscallsPerRequest)
		}
	}
}

// brokenProgram puts a script in the place of the rival gnet.
func brokenProgram(t *testing.T, p *suite.Plan, text string) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gnet"), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	p.Builder.Programs = dir
}

// One contestant's misfortune is told, ends its part in that cell, and nothing else.
func TestContestantsThatFail(t *testing.T) {
	s, err := suite.Find(suite.EchoName)
	require.NoError(t, err)
	for _, c := range []struct{ name, script, want string }{
		{"dies", "echo no memory >&2; exit 3", "did not start: exit status 3: no memory"},
		{"silent", "cat >/dev/null", "did not listen within"},
		{"deaf", "echo listening 127.0.0.1:1; cat >/dev/null", "connection refused"},
		{"liar", "echo listening nowhere; cat >/dev/null", "nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := tiny(t, []suite.Cell{tinyCell(t, s, suite.Free)}, "gnet", contestant.Baseline)
			p.Rounds = 2
			if c.name == "silent" {
				p.StartLimit = 300 * time.Millisecond
				p.Who = func(*suite.Scenario) []string { return []string{"gnet"} }
			}
			brokenProgram(t, &p, c.script)
			var failed, good int
			for _, x := range run(t, p) {
				if x.Contestant == "gnet" {
					failed++
					require.Contains(t, x.Error, c.want)
				} else {
					good++
					require.Empty(t, x.Error)
				}
			}
			require.Equal(t, 1, failed, "tried again after a failure")
			if c.name != "silent" {
				require.Equal(t, 2, good)
			}
		})
	}
}

// A job that hangs costs its time-out, and the run goes on.
func TestJobThatHangs(t *testing.T) {
	s, err := suite.Find("file")
	require.NoError(t, err)
	p := tiny(t, []suite.Cell{tinyCell(t, s, suite.Free)}, "iouring-go", contestant.Baseline)
	p.HangLimit = 500 * time.Millisecond
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "iouring"), []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755))
	p.Builder.Programs = dir
	samples := run(t, p)
	require.Len(t, samples, 2)
	require.Contains(t, samples[0].Error, "did not finish")
	require.Empty(t, samples[1].Error)
}

// What cannot be built is told, and the run goes on.
func TestContestantThatCannotBeBuilt(t *testing.T) {
	s, err := suite.Find(suite.EchoName)
	require.NoError(t, err)
	p := tiny(t, []suite.Cell{tinyCell(t, s, suite.Free)}, "gnet", contestant.Baseline)
	p.Builder.Rivals = ""
	samples := run(t, p)
	require.Contains(t, samples[0].Error, "run the suite in a clone")
	require.Empty(t, samples[1].Error)
	p.Builder.Programs = t.TempDir()
	require.Contains(t, run(t, p)[0].Error, "not among the programs")
}

func TestInterruptEndsTheChildren(t *testing.T) {
	s, err := suite.Find(suite.EchoName)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	p := tiny(t, []suite.Cell{tinyCell(t, s, suite.Free)}, contestant.Baseline)
	p.Window = time.Hour
	p.Progress = func(int, int, string) { time.AfterFunc(100*time.Millisecond, cancel) }
	files := openFiles(t)
	_, err = suite.Run(ctx, p)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, files, openFiles(t))
}

func TestPlansThatAreRefused(t *testing.T) {
	s, err := suite.Find(suite.EchoName)
	require.NoError(t, err)
	for name, change := range map[string]func(*suite.Plan){
		"no rounds":      func(p *suite.Plan) { p.Rounds = 0 },
		"no contestants": func(p *suite.Plan) { p.Who = func(*suite.Scenario) []string { return nil } },
		"nobody":         func(p *suite.Plan) { p.Who = func(*suite.Scenario) []string { return []string{"nobody"} } },
		"mode":           func(p *suite.Plan) { p.Cells[0].Mode = "both" },
		"scenario":       func(p *suite.Plan) { p.Cells[0].Scenario = "flood" },
		"procs":          func(p *suite.Plan) { p.Procs = -1 },
		"window":         func(p *suite.Plan) { p.Window = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			p := tiny(t, []suite.Cell{tinyCell(t, s, suite.Free)}, contestant.Baseline)
			change(&p)
			_, err := suite.Run(t.Context(), p)
			require.Error(t, err)
		})
	}
}

func TestSamplesBecomeATable(t *testing.T) {
	s, err := suite.Find(suite.EchoName)
	require.NoError(t, err)
	p := tiny(t, []suite.Cell{tinyCell(t, s, suite.Same)}, contestant.Baseline, contestant.Twin)
	p.Rounds = 2 // of one nothing can be said
	tables := report.Summarize(p.Cells, run(t, p))
	require.Len(t, tables, 1)
	require.Len(t, tables[0].Rows, 2)
	require.Contains(t, tables[0].Resolution, "serverCpuNsPerRequest")
}
