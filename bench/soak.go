package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ouro-io/ouro/bench/internal/proc"
	"github.com/ouro-io/ouro/bench/internal/soak"
	"github.com/ouro-io/ouro/proactor"
)

var backends = map[string]proactor.Backend{"auto": proactor.Auto, "uring": proactor.IOUring, "epoll": proactor.Epoll}

func soakCommand() *cobra.Command {
	var c soak.Config
	var backend string
	cmd := &cobra.Command{Use: "soak", Short: "Drive mixed traffic with checksums and fail on any drift of descriptors, goroutines, leases or memory",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var ok bool
			if c.Backend, ok = backends[backend]; !ok {
				return fmt.Errorf("backend %q is none of auto, uring, epoll", backend)
			}
			if _, err := proc.RaiseFileLimit(); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			c.Log = func(s string) { fmt.Fprintln(out, time.Now().Format(time.TimeOnly), s) }
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			rep, err := soak.Run(ctx, c)
			for _, name := range slices.Sorted(maps.Keys(rep.Operations)) {
				fmt.Fprintf(out, "%-10s %d\n", name, rep.Operations[name])
			}
			fmt.Fprintf(out, "%d cycles, %d hand-overs, %d demotions\nafter the first cycles: %s\nat the end:             %s\n",
				rep.Cycles, rep.HandOvers, rep.Demotions, rep.Base, rep.Last)
			if err == nil && rep.Cycles <= max(c.WarmCycles, 3) {
				err = errors.New("too short to see drift: give a --duration of more than three cycles")
			}
			if err == nil {
				fmt.Fprintln(out, "no drift")
			}
			return err
		}}
	f := cmd.Flags()
	f.DurationVar(&c.Duration, "duration", time.Minute, "how long")
	f.DurationVar(&c.Cycle, "cycle", 5*time.Second, "length of a cycle, after which everything must be back")
	f.DurationVar(&c.Settle, "settle", 0, "how long that may take (default 10s)")
	f.IntVar(&c.Conns, "conns", 0, "connections of each kind of traffic at once (default 16)")
	f.StringVar(&backend, "backend", "auto", "auto, uring or epoll")
	return cmd
}
