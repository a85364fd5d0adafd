package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/proc"
)

// serverCommand is what the suite executes for a contestant written in Go.
func serverCommand() *cobra.Command {
	var kind string
	var sink bool
	cmd := &cobra.Command{
		Use:    "server",
		Short:  "Serve as one contestant until standard input ends",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			c, err := contestant.Find(kind)
			if err != nil {
				return err
			}
			if c.Serve == nil {
				return fmt.Errorf("%s is a program of its own", kind)
			}
			return serve(c, sink)
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "", "contestant")
	cmd.Flags().BoolVar(&sink, "sink", false, "drop what comes in instead of echoing it")
	return cmd
}

func serve(c *contestant.Contestant, sink bool) error {
	if c.Name != "gnet" {
		contestant.Quiet()
	}
	if _, err := proc.RaiseFileLimit(); err != nil {
		return err
	}
	var stats atomic.Pointer[func() contestant.Stats]
	ended := make(chan error, 2)
	go func() {
		// A plain read(2): the thread sleeps there and costs nothing while the server is measured.
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	go func() {
		err := c.Serve(contestant.Options{
			Sink:   sink,
			Ready:  func(addr string) { fmt.Println("listening", addr) },
			AtExit: func(f func() contestant.Stats) { stats.Store(&f) },
		})
		if err == nil {
			err = fmt.Errorf("%s stopped serving", c.Name)
		}
		ended <- err
	}()
	if err := <-ended; err != nil {
		return err
	}
	if f := stats.Load(); f != nil {
		b, err := json.Marshal((*f)())
		if err != nil {
			return err
		}
		fmt.Printf("stats %s\n", b)
	}
	return nil
}

// loadCommand is what the suite executes to measure.
func loadCommand() *cobra.Command {
	var cfg load.Config
	var scenario string
	cmd := &cobra.Command{
		Use:    "load",
		Short:  "Put load on a server and print what was measured as JSON",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			contestant.Quiet()
			if _, err := proc.RaiseFileLimit(); err != nil {
				return err
			}
			cfg.Scenario = load.Scenario(scenario)
			r, err := load.Run(cfg)
			if err != nil {
				return err
			}
			return json.NewEncoder(os.Stdout).Encode(r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Addr, "addr", "", "IPv4 address and port of the server")
	f.IntVar(&cfg.ServerPID, "pid", 0, "process of the server, 0 to leave it unmeasured")
	f.StringVar(&scenario, "scenario", string(load.Echo), "echo, sink or idle")
	f.IntVar(&cfg.Conns, "conns", 64, "connections")
	f.IntVar(&cfg.Size, "size", 64, "bytes per message")
	f.IntVar(&cfg.Pipeline, "pipeline", 1, "messages in flight per connection")
	f.DurationVar(&cfg.Warmup, "warmup", 0, "time before the measured window")
	f.DurationVar(&cfg.Window, "window", 0, "measured window")
	return cmd
}
