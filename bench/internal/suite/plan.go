package suite

import (
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/load"
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
	Scenario load.Scenario `json:"scenario"`
	Mode     Mode          `json:"mode"`
	Conns    int           `json:"connections"`
	// Size is in bytes; Pipeline is the number of messages in flight per connection.
	Size     int `json:"size"`
	Pipeline int `json:"pipeline"`
}

// Plan is what to run. Every field is required unless it says otherwise.
type Plan struct {
	// Cells are measured in order within a round.
	Cells []Cell
	// Contestants are measured in order within a cell; Default marks the default selection, from which those that
	// are of no interest in a scenario are left out.
	Contestants []*contestant.Contestant
	Default     bool
	// Rounds is how often everything is measured, ≥ 1.
	Rounds int
	// Warmup precedes each measured window.
	Warmup, Window time.Duration
	// Settle and IdleWindow stand in for them where connections idle: the runtimes' housekeeping takes its own time.
	// Default 300 ms and 1 s.
	Settle, IdleWindow time.Duration
	// StartLimit is how long a server may take until it listens. Default 10 s.
	StartLimit time.Duration
	// Procs is GOMAXPROCS of a Go server in mode Free; 0 leaves it to Go.
	Procs int
	// Self is the command that becomes a server or a load generator when the arguments of ServerArgs or LoadArgs
	// follow.
	Self []string
	// Sources holds the C programs, BuildDir keeps what is compiled.
	Sources  fs.FS
	BuildDir string
	// Progress, if not nil, is told before each measurement and, with done == total and empty text, at the end.
	Progress func(done, total int, text string)
}

// Runs lists who is measured in cell c.
func (p *Plan) Runs(c Cell) []*contestant.Contestant {
	var out []*contestant.Contestant
	for _, x := range p.Contestants {
		if x.Takes(c.Scenario, p.Default) {
			out = append(out, x)
		}
	}
	return out
}

// Measurements is how many there are in one round.
func (p *Plan) Measurements() int {
	n := 0
	for _, c := range p.Cells {
		n += len(p.Runs(c))
	}
	return n
}

func (p *Plan) setDefaults() {
	for _, d := range []struct {
		to    *time.Duration
		value time.Duration
	}{{&p.Settle, 300 * time.Millisecond}, {&p.IdleWindow, time.Second}, {&p.StartLimit, 10 * time.Second}} {
		if *d.to == 0 {
			*d.to = d.value
		}
	}
}

func (p *Plan) check() error {
	switch {
	case p.Rounds < 1:
		return fmt.Errorf("%d rounds; give at least 1", p.Rounds)
	case p.Procs < 0:
		return fmt.Errorf("GOMAXPROCS %d; give 0 for Go's default or a count", p.Procs)
	case p.Window <= 0 || p.Warmup < 0 || p.Settle < 0 || p.IdleWindow < 0 || p.StartLimit < 0:
		return fmt.Errorf("window %v, warm-up %v; the window must be > 0 and no time negative", p.Window, p.Warmup)
	case p.Measurements() == 0:
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
	Cell       int         `json:"cell"`
	Contestant string      `json:"contestant"`
	Round      int         `json:"round"`
	Result     load.Result `json:"result"`
	// SyscallsPerRequest is 0 when the server does not count them.
	SyscallsPerRequest float64 `json:"syscallsPerRequest,omitempty"`
	// Error says why there is no result.
	Error string `json:"error,omitempty"`
}
