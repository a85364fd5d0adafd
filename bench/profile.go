package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/suite"
	"github.com/ouro-io/ouro/bench/protocol"
)

// profile is one of the suite's sizes.
type profile struct {
	name, short, long string
	rounds            int
	// budget is how long the run may take.
	budget, warmup     time.Duration
	settle, idleWindow time.Duration
	profileWindow      time.Duration
	timerSpread        time.Duration
	fileBytes          int64
}

var (
	minute = profile{name: "minute", short: "Compare echo servers on loopback, or what the flags say, in about a minute",
		long: "Rounds are interleaved (A B C, A B C, …) and ratios are taken within a round, so that what disturbs the\n" +
			"machine disturbs all alike. Lists are separated by commas; every combination is measured.",
		rounds: 5, budget: 55 * time.Second, warmup: 100 * time.Millisecond, fileBytes: 256 << 20}
	quick = profile{name: "quick", short: "Measure every scenario with its main contestants, in about three minutes",
		rounds: 3, budget: 170 * time.Second, warmup: 40 * time.Millisecond, settle: 100 * time.Millisecond,
		idleWindow: 200 * time.Millisecond, profileWindow: 300 * time.Millisecond, timerSpread: 200 * time.Millisecond,
		fileBytes: 128 << 20}
	full = profile{name: "full", short: "Measure everything with everybody, unattended, in three quarters of an hour",
		long:   "More time makes longer windows and more rounds less noise: --time 3h --rounds 7.",
		rounds: 3, budget: 45 * time.Minute, warmup: 100 * time.Millisecond, profileWindow: 500 * time.Millisecond,
		fileBytes: 512 << 20}
)

const (
	// overhead is what a measurement takes besides warm-up and window: two processes started and ended.
	overhead = 90 * time.Millisecond
	// minWindow is below what a measurement says little.
	minWindow = 100 * time.Millisecond
	// perConnection is what opening, echoing and closing one takes.
	perConnection = 80 * time.Microsecond
)

// plan checks the options and shares the time out.
func (pr profile) plan(o *options) (*suite.Plan, error) {
	p := &suite.Plan{Rounds: o.rounds, Procs: o.procs, Warmup: o.warmup, Window: o.window, Settle: pr.settle,
		IdleWindow: pr.idleWindow, ProfileWindow: pr.profileWindow, TimerSpread: pr.timerSpread, FileBytes: pr.fileBytes,
		Scratch: o.scratch, Who: pr.who(o)}
	if err := o.checkContestants(); err != nil {
		return nil, err
	}
	cells, err := pr.cells(o)
	if err != nil {
		return nil, err
	}
	p.Cells = cells
	if err := pr.chooseProfiled(p, o); err != nil {
		return nil, err
	}
	p.Builder, err = o.builder()
	if err != nil {
		return nil, err
	}
	return p, pr.share(p, o)
}

// who says which contestants take part in a scenario.
func (pr profile) who(o *options) func(*suite.Scenario) []string {
	return func(s *suite.Scenario) []string {
		switch {
		case len(o.contestants) > 0:
			return o.contestants
		case pr.name == quick.name && s.Few != nil:
			return s.Few
		case pr.name == minute.name && s.Name == suite.EchoName:
			return []string{"std", "std-again", "ouro-serve", "ouro-serve-epoll", "ouro-callbacks", "ouro-goroutines", "gnet",
				"c-uring", "c-epoll"}
		}
		return s.Contestants
	}
}

func (o *options) checkContestants() error {
	for _, name := range o.contestants {
		if _, err := contestant.Find(name); err != nil {
			return err
		}
	}
	return nil
}

// cells are those of the profile, or of the flags.
func (pr profile) cells(o *options) ([]suite.Cell, error) {
	for _, m := range o.modes {
		if !slices.Contains(suite.Modes, suite.Mode(m)) {
			return nil, fmt.Errorf("mode %q is none of %v", m, suite.Modes)
		}
	}
	for _, s := range o.scenarios {
		if _, err := suite.Find(s); err != nil {
			return nil, err
		}
	}
	var out []suite.Cell
	for _, s := range suite.All() {
		if len(o.scenarios) > 0 && !slices.Contains(o.scenarios, s.Name) || len(o.scenarios) == 0 && pr.name == minute.name && s.Name != suite.EchoName {
			continue
		}
		switch pr.name {
		case quick.name:
			out = append(out, s.Quick...)
		case full.name:
			out = append(out, s.Full...)
		default:
			out = append(out, o.grid(s)...)
		}
	}
	if len(o.modes) > 0 {
		out = slices.DeleteFunc(out, func(c suite.Cell) bool { return !slices.Contains(o.modes, string(c.Mode)) && !isJob(c) })
	}
	return out, nil
}

func isJob(c suite.Cell) bool {
	s, err := suite.Find(c.Scenario)
	return err == nil && s.Load == ""
}

// grid is every combination of the flags for s, without those that do not differ.
func (o *options) grid(s *suite.Scenario) []suite.Cell {
	modes := o.modes
	if len(modes) == 0 {
		modes = []string{string(suite.Same), string(suite.Sep)}
	}
	variants := s.Variants
	if s.Load == "" {
		modes = []string{string(suite.Free)}
	} else {
		variants = []string{""}
	}
	depths := o.pipelines
	if s.Load == load.Idle || s.Load == load.Sink || s.Load == load.Churn {
		depths = nil
	}
	var out []suite.Cell
	for _, m := range modes {
		for _, v := range variants {
			for _, c := range orDefault(o.conns, s.Conns) {
				for _, b := range orDefault(o.sizes, s.Size) {
					for _, d := range orDefault(depths, max(s.Pipeline, 1)) {
						for _, r := range orDefault(o.rates, s.Rate) {
							out = append(out, suite.Cell{Scenario: s.Name, Mode: suite.Mode(m), Variant: v, Conns: c, Size: b, Pipeline: d, Rate: r})
						}
					}
				}
			}
		}
	}
	return out
}

func orDefault(v []int, otherwise int) []int {
	if len(v) == 0 {
		return []int{otherwise}
	}
	return v
}

// chooseProfiled lists the cells whose CPU time is split: in the full profile one of each scenario, with server and load on
// CPUs of their own where there is such a one.
func (pr profile) chooseProfiled(p *suite.Plan, o *options) error {
	chosen := map[string]suite.Cell{}
	for _, c := range p.Cells {
		if old, ok := chosen[c.Scenario]; !ok || isUsual(c) && !isUsual(old) {
			chosen[c.Scenario] = c
		}
	}
	for i, c := range p.Cells {
		s, err := suite.Find(c.Scenario)
		if err != nil {
			return err
		}
		if s.Load == "" || s.Load == load.Idle {
			continue
		}
		if o.split || pr.name == full.name && c == chosen[c.Scenario] || pr.name == quick.name && s.Profiled && c.Mode == suite.Sep {
			p.Profiled = append(p.Profiled, i)
		}
	}
	return nil
}

// isUsual reports whether c is the condition that a scenario is mostly looked at in.
func isUsual(c suite.Cell) bool {
	s, err := suite.Find(c.Scenario)
	return err == nil && c.Mode == suite.Sep && c.Conns == s.Conns && c.Size == s.Size && c.Pipeline == max(s.Pipeline, 1)
}

// fixed is what a measurement in c takes whatever the window is; windowed reports whether the window comes on top.
func (pr profile) fixed(p *suite.Plan, c suite.Cell) (d time.Duration, windowed bool) {
	s, err := suite.Find(c.Scenario)
	if err != nil {
		return 0, false
	}
	d = overhead + time.Duration(c.Conns)*perConnection
	switch {
	case s.Role == protocol.Timers:
		return overhead + 2*orElse(pr.timerSpread, time.Second), false
	case s.Load == load.Idle:
		return d + 2*orElse(pr.settle, 300*time.Millisecond) + orElse(pr.idleWindow, time.Second), false
	case s.Role == protocol.File:
		return overhead + p.Warmup, true
	}
	return d + p.Warmup, true
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// estimate is how long p takes without its windows, and how many windows there are.
func (pr profile) estimate(p *suite.Plan) (rest time.Duration, windows int, err error) {
	for i, c := range p.Cells {
		who, err := p.Runs(c)
		if err != nil {
			return 0, 0, err
		}
		n := time.Duration(len(who))
		d, windowed := pr.fixed(p, c)
		rest += d * n * time.Duration(p.Rounds)
		if windowed {
			windows += len(who) * p.Rounds
		}
		if slices.Contains(p.Profiled, i) {
			rest += (d + orElse(pr.profileWindow, 400*time.Millisecond)) * n
		}
	}
	return rest, windows, nil
}

var errNothing = errors.New("nothing to measure: give --rounds of at least 1 and contestants that take part")

// share sets the window from the budget, unless it is given.
func (pr profile) share(p *suite.Plan, o *options) error {
	rest, windows, err := pr.estimate(p)
	if err != nil {
		return err
	}
	if rest == 0 {
		return errNothing
	}
	if p.Window == 0 {
		if windows > 0 {
			p.Window = (o.budget - rest) / time.Duration(windows)
		}
		if windows > 0 && p.Window < minWindow || windows == 0 && rest > o.budget {
			return fmt.Errorf("%v is too short for this many measurements: give --time %v, or fewer combinations or rounds",
				o.budget, (rest+time.Duration(windows)*minWindow).Round(time.Second)+time.Second)
		}
		p.Window = max(p.Window, minWindow)
	}
	o.takes = rest + time.Duration(windows)*p.Window
	return nil
}
