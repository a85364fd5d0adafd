package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/report"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

// options are the command line's choices.
type options struct {
	contestants, scenarios, modes  []string
	conns, sizes, pipelines, rates []int
	rounds, procs                  int
	budget, warmup, window         time.Duration
	json, html                     string
	scratch, programs              string
	split, emulated                bool
	// takes is how long the plan is estimated to take.
	takes time.Duration
}

// measureCommand is the command of a profile.
func measureCommand(pr profile) *cobra.Command {
	o := new(options)
	cmd := &cobra.Command{
		Use: pr.name, Short: pr.short, Long: pr.short + ".\n\n" + pr.long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return pr.measure(cmd, o) },
	}
	pr.flags(cmd, o)
	return cmd
}

// flags defines a profile's flags; those that make cells are the minute's alone.
func (pr profile) flags(cmd *cobra.Command, o *options) {
	f := cmd.Flags()
	f.StringSliceVar(&o.contestants, "contestants", nil, "who takes part (default: chosen per scenario; see list)")
	f.StringSliceVar(&o.scenarios, "scenario", nil, "which scenarios (see list)")
	f.StringSliceVar(&o.modes, "mode", nil, "same: server and load on one CPU; sep: a CPU each; free: nothing pinned")
	f.IntVar(&o.rounds, "rounds", pr.rounds, "how often everything is measured")
	f.IntVar(&o.procs, "procs", 2, "GOMAXPROCS of the Go servers in mode free, 0 for Go's default")
	f.DurationVar(&o.budget, "time", pr.budget, "how long the whole run may take; shared out evenly")
	f.DurationVar(&o.warmup, "warmup", pr.warmup, "before each measured window")
	f.DurationVar(&o.window, "duration", 0, "measured window, in place of a share of --time")
	f.StringVar(&o.json, "json", "", "also write everything measured to this file")
	f.StringVar(&o.html, "html", "", "also write a report with charts to this file")
	f.StringVar(&o.scratch, "scratch", "", "folder on a real disk for the file that is read (default: the user's cache)")
	f.StringVar(&o.programs, "programs", "", "folder of programs that the command build has made, on a machine without compilers")
	f.BoolVar(&o.split, "split", false, "also profile every cell once: CPU by layer, system calls")
	f.BoolVar(&o.emulated, "emulated", false, "mark the results as those of an emulated machine")
	if pr.name == minute.name {
		f.IntSliceVar(&o.conns, "conns", nil, "connections (default: the scenario's)")
		f.IntSliceVar(&o.sizes, "size", nil, "bytes per message, write or block (default: the scenario's)")
		f.IntSliceVar(&o.pipelines, "pipeline", nil, "messages in flight per connection, reads in flight (default: the scenario's)")
		f.IntSliceVar(&o.rates, "rate", nil, "requests per second of an open loop, 0 for a closed one (default: the scenario's)")
	}
}

func (pr profile) measure(cmd *cobra.Command, o *options) error {
	p, err := pr.plan(o)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	env := report.ReadEnvironment()
	env.Emulated = o.emulated
	fmt.Fprintf(out, "Linux %s, %s, %d CPUs, %s, TCP %s\n", env.Kernel, env.CPU, env.CPUs, env.Go, env.TCP)
	if w := env.Disturbed(); w != "" {
		fmt.Fprintln(out, "Note:", w)
	}
	fmt.Fprintf(out, "%d rounds, %v measured each, medians; × is the median of the ratios within each round; about %v\n",
		p.Rounds, p.Window.Round(time.Millisecond), o.takes.Round(time.Second))
	p.Progress = progress(cmd.ErrOrStderr())
	// Only here: the children, which run the same program, end at once when they are signalled.
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// What was measured before an interrupt is still worth showing.
	samples, runErr := suite.Run(ctx, *p)
	if runErr != nil && len(samples) == 0 {
		return runErr
	}
	d := report.Document{Environment: env, Profile: pr.name, Rounds: p.Rounds, WarmupNs: int64(p.Warmup), WindowNs: int64(p.Window),
		Tables: report.Summarize(p.Cells, samples), Samples: samples}
	return errors.Join(runErr, report.WriteText(out, d.Tables), o.write(d))
}

// write makes the files that were asked for.
func (o *options) write(d report.Document) error {
	var err error
	if o.json != "" {
		err = writeFile(o.json, func(w io.Writer) error { return report.WriteJSON(w, d) })
	}
	if o.html != "" {
		err = errors.Join(err, writeFile(o.html, func(w io.Writer) error { return report.WriteHTML(w, d) }))
	}
	return err
}

func writeFile(path string, f func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f(file), file.Close())
}

func listCommand() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List scenarios and contestants", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var b strings.Builder
			b.WriteString("Scenarios\n")
			for _, s := range suite.All() {
				fmt.Fprintf(&b, "  %-22s %s\n", s.Name, s.About)
			}
			b.WriteString("\nContestants\n")
			for _, c := range contestant.All() {
				fmt.Fprintf(&b, "  %-22s %s\n", c.Name, c.About)
			}
			_, err := io.WriteString(cmd.OutOrStdout(), b.String())
			return err
		}}
}

// buildCommand makes every program for use with --programs.
func buildCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{Use: "build", Short: "Build every contestant statically, to be used with --programs elsewhere",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := new(options).builder()
			if err != nil {
				return err
			}
			failed, err := b.BuildAll(cmd.Context(), dir)
			for name, why := range failed {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", name, why)
			}
			return err
		}}
	cmd.Flags().StringVar(&dir, "out", "programs", "folder")
	return cmd
}

// builder makes the contestants' programs.
func (o *options) builder() (*contestant.Builder, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := fs.Sub(sources, "c")
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return &contestant.Builder{Self: []string{self}, Sources: c, Rivals: findRivals(), Programs: o.programs,
		Dir: filepath.Join(cache, "ouro-bench")}, nil
}

// findRivals looks for the rivals' modules from the working directory upwards.
func findRivals() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		for _, sub := range []string{"bench/rivals", "rivals"} {
			if _, err := os.Stat(filepath.Join(dir, sub, "gnet", "go.mod")); err == nil {
				return filepath.Join(dir, sub)
			}
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// progress shows a bar on a terminal and a line per tenth elsewhere.
func progress(w io.Writer) func(done, total int, text string) {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		var bar *progressbar.ProgressBar
		return func(done, total int, text string) {
			if bar == nil {
				bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(30),
					progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true),
					progressbar.OptionShowCount())
			}
			bar.Describe(fmt.Sprintf("%-48s", text))
			bar.Set(done) //nolint:errcheck // only a picture
		}
	}
	last := -1
	return func(done, total int, text string) {
		if tenth := 10 * done / total; tenth != last {
			last = tenth
			fmt.Fprintln(w, strings.TrimSpace(fmt.Sprintf("%d %% %s", 10*tenth, text)))
		}
	}
}
