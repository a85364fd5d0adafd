package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/report"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

// flags are the command line's choices; makePlan turns them into a plan.
type flags struct {
	contestants, scenarios, modes []string
	conns, sizes, pipelines       []int
	rounds, procs                 int
	budget, warmup, window        time.Duration
	json                          string
	list                          bool
}

// Standard choices per scenario, where the flag is not given.
var (
	defaultConns = map[load.Scenario]int{load.Echo: 64, load.Sink: 4, load.Idle: 10_000}
	defaultSize  = map[load.Scenario]int{load.Echo: 64, load.Sink: 256 << 10, load.Idle: 64}
)

const (
	// overhead is what a measurement takes besides warm-up and window: two processes started and ended.
	overhead = 90 * time.Millisecond
	// minWindow is below what a measurement says little.
	minWindow = 100 * time.Millisecond
)

// command is the command whose flags set f.
func (f *flags) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Compare echo servers on loopback: package net, ouro, gnet, C",
		Long: "Compare echo servers on loopback: package net, ouro, gnet, and C as the limit.\n\n" +
			"Rounds are interleaved (A B C, A B C, …) and ratios are taken within a round, so that what disturbs the\n" +
			"machine disturbs all alike. Lists are separated by commas; every combination is measured.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.list {
				return list(cmd.OutOrStdout())
			}
			return f.compare(cmd)
		},
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.contestants, "contestants", nil, "who takes part (default: all; see --list)")
	fl.StringSliceVar(&f.scenarios, "scenario", []string{string(load.Echo)},
		"echo: messages and their echoes; sink: large writes that the server drops; idle: memory of idle connections")
	fl.StringSliceVar(&f.modes, "mode", []string{string(suite.Same), string(suite.Sep)},
		"same: server and load on one CPU; sep: a CPU each; free: nothing pinned")
	fl.IntSliceVar(&f.conns, "conns", nil, "connections (default: 64 for echo, 4 for sink, 10000 for idle)")
	fl.IntSliceVar(&f.sizes, "size", nil, "bytes per message or write (default: 64, 262144 for sink)")
	fl.IntSliceVar(&f.pipelines, "pipeline", []int{1}, "messages in flight per connection (echo)")
	fl.IntVar(&f.rounds, "rounds", 5, "how often everything is measured")
	fl.IntVar(&f.procs, "procs", 2, "GOMAXPROCS of the Go servers in mode free, 0 for Go's default")
	fl.DurationVar(&f.budget, "time", 55*time.Second, "how long the whole run may take; shared out evenly")
	fl.DurationVar(&f.warmup, "warmup", 100*time.Millisecond, "before each measured window")
	fl.DurationVar(&f.window, "duration", 0, "measured window, in place of a share of --time")
	fl.StringVar(&f.json, "json", "", "also write everything measured to this file")
	fl.BoolVar(&f.list, "list", false, "list the contestants and stop")
	return cmd
}

func list(w io.Writer) error {
	for _, c := range contestant.All() {
		if _, err := fmt.Fprintf(w, "%-18s %s\n", c.Name, c.About); err != nil {
			return err
		}
	}
	return nil
}

func (f *flags) compare(cmd *cobra.Command) error {
	p, err := f.makePlan()
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	env := report.ReadEnvironment()
	fmt.Fprintf(out, "Linux %s, %s, %d CPUs, %s, TCP %s\n", env.Kernel, env.CPU, env.CPUs, env.Go, env.TCP)
	fmt.Fprintf(out, "%d rounds, %v measured each, medians; × is the median of the ratios within each round\n",
		p.Rounds, p.Window.Round(time.Millisecond))
	p.Progress = progress(cmd.ErrOrStderr())
	// Only here: the children, which run the same program, end at once when they are signalled.
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// What was measured before an interrupt is still worth showing.
	samples, runErr := suite.Run(ctx, *p)
	if runErr != nil && len(samples) == 0 {
		return runErr
	}
	d := report.Document{Environment: env, Rounds: p.Rounds, WarmupNs: int64(p.Warmup), WindowNs: int64(p.Window),
		Tables: report.Summarize(p, samples), Samples: samples}
	err = report.WriteText(out, d.Tables)
	if err == nil && f.json != "" {
		err = writeJSON(f.json, d)
	}
	return errors.Join(runErr, err)
}

func writeJSON(path string, d report.Document) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(report.WriteJSON(file, d), file.Close())
}

// makePlan checks the flags and shares the time out.
func (f *flags) makePlan() (*suite.Plan, error) {
	p := &suite.Plan{Rounds: f.rounds, Procs: f.procs, Warmup: f.warmup, Window: f.window}
	if err := f.selectContestants(p); err != nil {
		return nil, err
	}
	if err := f.selectCells(p); err != nil {
		return nil, err
	}
	if p.Window == 0 {
		n := p.Measurements() * p.Rounds
		if n == 0 {
			return nil, fmt.Errorf("nothing to measure: give --rounds of at least 1 and contestants that take part")
		}
		p.Window = f.budget/time.Duration(n) - f.warmup - overhead
		if p.Window < minWindow {
			return nil, fmt.Errorf("%v is too short for %d measurements: give --time %v, or fewer combinations or rounds",
				f.budget, n, (time.Duration(n) * (minWindow + f.warmup + overhead)).Round(time.Second))
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p.Self = []string{self}
	if p.Sources, err = fs.Sub(sources, "c"); err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	p.BuildDir = filepath.Join(cache, "ouro-bench")
	return p, nil
}

func (f *flags) selectContestants(p *suite.Plan) error {
	if len(f.contestants) == 0 {
		p.Contestants, p.Default = contestant.All(), true
		return nil
	}
	for _, name := range f.contestants {
		c, err := contestant.Find(name)
		if err != nil {
			return err
		}
		p.Contestants = append(p.Contestants, c)
	}
	return nil
}

// selectCells makes every combination that differs: messages in flight matter to echo only.
func (f *flags) selectCells(p *suite.Plan) error {
	for _, name := range f.scenarios {
		s := load.Scenario(name)
		if !slices.Contains(load.Scenarios, s) {
			return fmt.Errorf("scenario %q is none of %v", name, load.Scenarios)
		}
		pipelines := f.pipelines
		if s != load.Echo {
			pipelines = []int{1}
		}
		for _, mode := range f.modes {
			if !slices.Contains(suite.Modes, suite.Mode(mode)) {
				return fmt.Errorf("mode %q is none of %v", mode, suite.Modes)
			}
			for _, conns := range orDefault(f.conns, defaultConns[s]) {
				for _, size := range orDefault(f.sizes, defaultSize[s]) {
					for _, depth := range pipelines {
						p.Cells = append(p.Cells, suite.Cell{Scenario: s, Mode: suite.Mode(mode), Conns: conns,
							Size: size, Pipeline: depth})
					}
				}
			}
		}
	}
	return nil
}

func orDefault(v []int, otherwise int) []int {
	if len(v) == 0 {
		return []int{otherwise}
	}
	return v
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
