package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/report"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

// parse is makePlan of a command line.
func parse(t *testing.T, args ...string) (*suite.Plan, error) {
	var f flags
	cmd := f.command()
	require.NoError(t, cmd.ParseFlags(args))
	return f.makePlan()
}

func TestDefaultRunTakesAMinute(t *testing.T) {
	p, err := parse(t)
	require.NoError(t, err)
	require.Len(t, p.Cells, 2)
	each := p.Warmup + p.Window + overhead
	require.InDelta(t, 55, (each * time.Duration(p.Rounds*p.Measurements())).Seconds(), 1)
}

func TestCellsAreAllCombinations(t *testing.T) {
	p, err := parse(t, "--scenario", "echo,idle", "--mode", "same,free", "--pipeline", "1,16", "--time", "10m")
	require.NoError(t, err)
	var echo, idle int
	for _, c := range p.Cells {
		switch c.Scenario {
		case load.Echo:
			echo++
			require.Equal(t, 64, c.Conns)
		case load.Idle:
			idle++
			require.Equal(t, 10_000, c.Conns)
			require.Equal(t, 1, c.Pipeline)
		}
	}
	require.Equal(t, 4, echo)
	require.Equal(t, 2, idle)
	p, err = parse(t, "--conns", "1,64,1000", "--size", "64,4096", "--mode", "same", "--duration", "1s")
	require.NoError(t, err)
	require.Len(t, p.Cells, 6)
	require.Equal(t, time.Second, p.Window)
}

func TestFlagsThatAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"--contestants nobody": "no contestant is called",
		"--scenario flood":     "none of",
		"--mode both":          "none of",
		"--time 1s":            "too short",
		"--rounds 0":           "at least 1",
	} {
		_, err := parse(t, strings.Fields(args)...)
		require.ErrorContains(t, err, want, args)
	}
}

func TestCommandWritesTableAndJSON(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.json")
	cmd := rootCommand()
	var out, progress bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&progress)
	cmd.SetArgs([]string{"--contestants", "std,std-again", "--mode", "same", "--conns", "3", "--rounds", "2", "--duration", "20ms",
		"--json", file})
	require.NoError(t, cmd.ExecuteContext(t.Context()))
	require.Contains(t, out.String(), "std-again")
	require.Contains(t, out.String(), "noise (std against itself)")
	require.Contains(t, progress.String(), "100 %")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var d report.Document
	require.NoError(t, json.Unmarshal(b, &d))
	require.Len(t, d.Samples, 4)
	require.Len(t, d.Tables, 1)
}

func TestListNamesEverybody(t *testing.T) {
	cmd := rootCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--list"})
	require.NoError(t, cmd.ExecuteContext(t.Context()))
	for _, name := range []string{"std", "gnet", "c-uring", "ouro-serve"} {
		require.Contains(t, out.String(), name)
	}
}
