package suite

import (
	"fmt"
	"slices"
	"time"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/protocol"
)

// Mode says which CPUs server and load generator run on.
type Mode string

const (
	// Same binds both to one CPU, where neither interrupts the other; a Go server's GOMAXPROCS is 1. The steadiest
	// figures, at the largest batches.
	Same Mode = "same"
	// Sep binds each to a CPU of its own; a Go server's GOMAXPROCS is 1.
	Sep Mode = "sep"
	// Free binds neither.
	Free Mode = "free"
)

// Modes lists every mode.
var Modes = []Mode{Same, Sep, Free}

// Cell is one condition under which all contestants are compared.
type Cell struct {
	Scenario string `json:"scenario"`
	Mode     Mode   `json:"mode"`
	// Conns is the number of connections, or of timers.
	Conns int `json:"connections"`
	// Size is in bytes; Pipeline is the number of messages in flight per connection, or of reads in flight.
	Size     int `json:"size"`
	Pipeline int `json:"pipeline"`
	// Rate is in requests per second, 0 for a closed loop.
	Rate int `json:"rate,omitempty"`
	// Variant is one of the scenario's.
	Variant string `json:"variant,omitempty"`
}

// Plan is what to run. Every field is required unless it says otherwise.
type Plan struct {
	// Cells are measured in order within a round.
	Cells []Cell
	// Who lists the contestants of a scenario, in order. Those that cannot play its role are left out.
	Who func(*Scenario) []string
	// Rounds is how often everything is measured, ≥ 1.
	Rounds int
	// Profiled lists the cells (by index) of which a last round is made with a CPU profile and counted system calls.
	// Its times are not part of any figure. May be empty.
	Profiled []int
	// Warmup precedes each measured window.
	Warmup, Window time.Duration
	// ProfileWindow is the window of the last round. Default 400 ms.
	ProfileWindow time.Duration
	// Settle and IdleWindow stand in for them where connections idle: the runtimes' housekeeping takes its own time.
	// Default 300 ms and 1 s.
	Settle, IdleWindow time.Duration
	// StartLimit is how long a server may take until it listens. Default 10 s.
	StartLimit time.Duration
	// HangLimit is how long a measurement may take beyond warm-up and window. Default 30 s.
	HangLimit time.Duration
	// Procs is GOMAXPROCS of a Go server in mode Free; 0 leaves it to Go.
	Procs int
	// FileBytes is the size of the file that is read. Default 64 MiB.
	FileBytes int64
	// TimerSpread is over how long timers are due. Default 1 s.
	TimerSpread time.Duration
	// Builder makes the programs. Its Self also becomes the load generator.
	Builder *contestant.Builder
	// Scratch is a folder on a real disk for the file, which is removed again. Default: Builder.Dir.
	Scratch string
	// Progress, if not nil, is told before each measurement and, with done == total and empty text, at the end.
	Progress func(done, total int, text string)
}

// Runs lists who is measured in cell c.
func (p *Plan) Runs(c Cell) ([]*contestant.Contestant, error) {
	s, err := Find(c.Scenario)
	if err != nil {
		return nil, err
	}
	var out []*contestant.Contestant
	for _, name := range p.Who(s) {
		x, err := contestant.Find(name)
		if err != nil {
			return nil, err
		}
		if x.Can(s.Role) {
			out = append(out, x)
		}
	}
	return out, nil
}

// Measurements is how many there are in one round, and in the profiled one.
func (p *Plan) Measurements() (round, profiled int, err error) {
	for i, c := range p.Cells {
		who, err := p.Runs(c)
		if err != nil {
			return 0, 0, err
		}
		round += len(who)
		if slices.Contains(p.Profiled, i) {
			profiled += len(who)
		}
	}
	return round, profiled, nil
}

func (p *Plan) setDefaults() {
	for _, d := range []struct {
		to    *time.Duration
		value time.Duration
	}{{&p.Settle, 300 * time.Millisecond}, {&p.IdleWindow, time.Second}, {&p.StartLimit, 10 * time.Second},
		{&p.HangLimit, 30 * time.Second}, {&p.ProfileWindow, 400 * time.Millisecond}, {&p.TimerSpread, time.Second}} {
		if *d.to == 0 {
			*d.to = d.value
		}
	}
	if p.FileBytes == 0 {
		p.FileBytes = 64 << 20
	}
	if p.Scratch == "" {
		p.Scratch = p.Builder.Dir
	}
}

func (p *Plan) check() error {
	n, _, err := p.Measurements()
	switch {
	case err != nil:
		return err
	case p.Rounds < 1:
		return fmt.Errorf("%d rounds; give at least 1", p.Rounds)
	case p.Procs < 0:
		return fmt.Errorf("GOMAXPROCS %d; give 0 for Go's default or a count", p.Procs)
	case p.Window <= 0 || p.Warmup < 0 || p.Settle < 0 || p.IdleWindow < 0 || p.StartLimit < 0 || p.HangLimit < 0:
		return fmt.Errorf("window %v, warm-up %v; the window must be > 0 and no time negative", p.Window, p.Warmup)
	case n == 0:
		return fmt.Errorf("nothing to measure: no contestant takes part in any of the scenarios")
	}
	for _, c := range p.Cells {
		if !slices.Contains(Modes, c.Mode) {
			return fmt.Errorf("mode %q is none of %v", c.Mode, Modes)
		}
	}
	return nil
}

// Sample is one measurement.
type Sample struct {
	Cell       int             `json:"cell"`
	Contestant string          `json:"contestant"`
	Round      int             `json:"round"`
	Result     protocol.Result `json:"result"`
	// SyscallsPerRequest is 0 when neither the server nor the kernel counts them.
	SyscallsPerRequest float64 `json:"syscallsPerRequest,omitempty"`
	// Layers is the CPU time's split, as shares of 1. Only in samples of the profiled round, which have Profiled set
	// and whose times are not comparable.
	Layers   map[string]float64 `json:"layers,omitempty"`
	Profiled bool               `json:"profiled,omitempty"`
	// Error says why there is no result.
	Error string `json:"error,omitempty"`
}
