//go:build linux

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/leaktest"
)

var update = flag.Bool("update", false, "write the files below testdata anew")

// asCommand makes the test binary behave as the command itself, with the bad luck that denytest.Env names.
const asCommand = "OURO_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		if err := denytest.Apply(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		main()
	}
	leaktest.Main(m)
}

// result is what a run of the command gave.
type result struct {
	stdout, stderr string
	status         int
}

// inside runs the command in this process.
func inside(args ...string) result {
	var out, err bytes.Buffer
	status := run(context.Background(), append([]string{"ouro"}, args...), &out, &err)
	return result{out.String(), err.String(), status}
}

// child runs the command in a process of its own, with more environment.
func child(t *testing.T, env []string, args ...string) result {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), asCommand+"=1"), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		require.IsType(t, (*exec.ExitError)(nil), err)
	}
	require.NotEqual(t, 3, cmd.ProcessState.ExitCode(), errs.String())
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		stdout string
		stderr string
	}{
		{nil, 0, "COMMANDS:", ""},
		{[]string{"help"}, 0, "probe", ""},
		{[]string{"probe", "--help"}, 0, "--json", ""},
		{[]string{"dance"}, exitUsage, "", `no command "dance"`},
		{[]string{"--dance"}, exitUsage, "", "dance"},
		{[]string{"probe", "--dance"}, exitUsage, "", "dance"},
		{[]string{"probe", "now"}, exitUsage, "", `no arguments, got "now"`},
		{[]string{"echo", "now"}, exitUsage, "", `no arguments, got "now"`},
	} {
		t.Run(fmt.Sprint(c.args), func(t *testing.T) {
			r := inside(c.args...)
			require.Equal(t, c.status, r.status, r.stderr)
			require.Contains(t, r.stdout, c.stdout)
			require.Contains(t, r.stderr, c.stderr)
			if c.status == 0 {
				require.Empty(t, r.stderr)
			}
		})
	}
}
