package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/proc"
)

// contestantCommand is what the suite executes for a contestant in this binary. Its arguments are those of package
// protocol, which are not flags.
func contestantCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "contestant NAME ROLE [key=value ...]",
		Short:              "Be one contestant",
		Args:               cobra.MinimumNArgs(1),
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := contestant.Find(args[0])
			if err != nil {
				return err
			}
			if c.Program == nil {
				return fmt.Errorf("%s is a program of its own", c.Name)
			}
			return c.Program.Run(args[1:])
		},
	}
}

// loadCommand is what the suite executes to measure: its argument is a load.Config as JSON.
func loadCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "load CONFIG",
		Short:  "Put load on a server and print what was measured as JSON",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := proc.RaiseFileLimit(); err != nil {
				return err
			}
			var cfg load.Config
			if err := json.Unmarshal([]byte(args[0]), &cfg); err != nil {
				return err
			}
			r, err := load.Run(cfg)
			if err != nil {
				return err
			}
			return json.NewEncoder(os.Stdout).Encode(r)
		},
	}
}
