package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/report"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

// parse is the plan of a command line.
func parse(t *testing.T, pr profile, args ...string) (*suite.Plan, *options, error) {
	o := new(options)
	cmd := measureCommand(pr)
	cmd.ResetFlags()
	pr.flags(cmd, o)
	require.NoError(t, cmd.ParseFlags(args))
	p, err := pr.plan(o)
	return p, o, err
}

func TestDefaultRunTakesAMinute(t *testing.T) {
	p, o, err := parse(t, minute)
	require.NoError(t, err)
	require.Len(t, p.Cells, 2)
	require.InDelta(t, 55, o.takes.Seconds(), 1)
}

func TestQuickRunTakesThreeMinutes(t *testing.T) {
	p, o, err := parse(t, quick)
	require.NoError(t, err)
	require.LessOrEqual(t, o.takes, 3*time.Minute)
	var seen []string
	for _, c := range p.Cells {
		seen = append(seen, c.Scenario)
	}
	for _, s := range suite.All() {
		require.Contains(t, seen, s.Name, "every scenario is in the quick profile")
	}
}

func TestFullRunHasEverybody(t *testing.T) {
	p, _, err := parse(t, full)
	require.NoError(t, err)
	var seen []string
	for _, c := range p.Cells {
		who, err := p.Runs(c)
		require.NoError(t, err)
		for _, x := range who {
			seen = append(seen, x.Name)
		}
	}
	for _, c := range contestant.All() {
		require.Contains(t, seen, c.Name, "every contestant is in the full profile")
	}
	require.NotEmpty(t, p.Profiled)
}

func TestCellsAreAllCombinations(t *testing.T) {
	p, _, err := parse(t, minute, "--scenario", "echo,idle", "--mode", "same,free", "--pipeline", "1,16", "--time", "10m")
	require.NoError(t, err)
	var echo, idle int
	for _, c := range p.Cells {
		switch c.Scenario {
		case suite.EchoName:
			echo++
			require.Equal(t, 64, c.Conns)
		case suite.IdleName:
			idle++
			require.Equal(t, 10_000, c.Conns)
			require.Equal(t, 1, c.Pipeline)
		}
	}
	require.Equal(t, 4, echo)
	require.Equal(t, 2, idle)
	p, _, err = parse(t, minute, "--conns", "1,64,1000", "--size", "64,4096", "--mode", "same", "--duration", "1s", "--rate", "0,1000")
	require.NoError(t, err)
	require.Len(t, p.Cells, 12)
	require.Equal(t, time.Second, p.Window)
}

// A cell of one scenario must not be changed by another that shares the list that it was written in.
func TestCellsBelongToTheirScenario(t *testing.T) {
	for _, s := range suite.All() {
		for _, c := range slices.Concat(s.Quick, s.Full) {
			require.Equal(t, s.Name, c.Scenario)
			require.Positive(t, c.Conns)
			require.Positive(t, c.Size)
			require.Positive(t, c.Pipeline)
		}
		require.NotEmpty(t, s.Quick, s.Name)
		require.NotEmpty(t, s.Full, s.Name)
		for _, few := range s.Few {
			require.Contains(t, s.Contestants, few, s.Name)
		}
		for _, name := range s.Contestants {
			_, err := contestant.Find(name)
			require.NoError(t, err, s.Name)
		}
	}
}

func TestFlagsThatAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"--contestants nobody": "no contestant is called",
		"--scenario flood":     "none of",
		"--mode both":          "none of",
		"--time 1s":            "too short",
		"--rounds 0":           "at least 1",
	} {
		_, _, err := parse(t, minute, strings.Fields(args)...)
		require.ErrorContains(t, err, want, args)
	}
}

func TestCommandWritesTableAndFiles(t *testing.T) {
	file, page := filepath.Join(t.TempDir(), "out.json"), filepath.Join(t.TempDir(), "out.html")
	cmd := rootCommand()
	var out, progress bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&progress)
	cmd.SetArgs([]string{"--contestants", "std,std-again", "--mode", "same", "--conns", "3", "--rounds", "2", "--duration", "20ms",
		"--json", file, "--html", page})
	require.NoError(t, cmd.ExecuteContext(t.Context()))
	require.Contains(t, out.String(), "std-again")
	require.Contains(t, out.String(), "noise: ")
	require.Contains(t, progress.String(), "100 %")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var d report.Document
	require.NoError(t, json.Unmarshal(b, &d))
	require.Len(t, d.Samples, 4)
	require.Len(t, d.Tables, 1)
	_, err = os.Stat(page)
	require.NoError(t, err)
}

func TestListNamesEverybody(t *testing.T) {
	cmd := rootCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"list"})
	require.NoError(t, cmd.ExecuteContext(t.Context()))
	for _, name := range []string{"std", "gnet", "c-uring", "ouro-serve", "proxy", "timers"} {
		require.Contains(t, out.String(), name)
	}
}
