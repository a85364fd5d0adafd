package suite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/pattern"
	"github.com/ouro-io/ouro/bench/protocol"
)

// Scenario is a kind of work under which contestants are compared.
type Scenario struct {
	// Name selects it, About explains it in a line.
	Name, About string
	// Role is what contestants are asked to be. Load is the load put on them; empty for jobs, which measure themselves.
	Role protocol.Role
	Load load.Kind
	// Defaults of a cell.
	Conns, Size, Pipeline, Rate int
	// Variants are the ways a job can be asked for; the first is the default.
	Variants []string
	// Quick and Full are the cells of the profiles.
	Quick, Full []Cell
	// Contestants take part by default, Few of them in the quick profile (nil: all of Contestants).
	Contestants, Few []string
	// Profiled asks for the CPU's split by layer in the quick profile; the full one has it everywhere.
	Profiled bool
}

// Variants of the job File, and of Timers.
const (
	RandomDirect     = "random, O_DIRECT"
	RandomCached     = "random, page cache"
	SequentialDirect = "sequential, O_DIRECT"
	SequentialCached = "sequential, page cache"
	TimerCallbacks   = "callback"
	TimerSleepers    = "sleep"
)

// Names of scenarios that others refer to.
const (
	EchoName     = "echo"
	IdleName     = "idle"
	PatternsName = "patterns"
	// PatternsIdleName is that of the patterns' memory.
	PatternsIdleName = "patterns-idle"
	SkewName         = "skew"
)

var (
	ouroFaces = []string{"ouro-serve", "ouro-serve-epoll", "ouro-callbacks", "ouro-goroutines"}
	rivals    = []string{"gnet", "netpoll", "nbio", "evio", "rio", "gain", "iouring-go"} // the last has no HTTP
	baseline  = []string{contestant.Baseline, contestant.Twin}
	inC       = []string{contestant.Limit, "c-epoll"}
)

func names(lists ...[]string) []string { return slices.Concat(lists...) }

// grid is every combination, in each mode.
func grid(modes []Mode, conns, sizes, depths []int) []Cell {
	var out []Cell
	for _, m := range modes {
		for _, c := range conns {
			for _, s := range sizes {
				for _, d := range depths {
					out = append(out, Cell{Mode: m, Conns: c, Size: s, Pipeline: d})
				}
			}
		}
	}
	return out
}

// All lists the scenarios in the order of the report.
func All() []*Scenario {
	all := slices.Concat(streams(), others(), programs())
	for _, s := range all {
		s.Quick, s.Full = s.completed(s.Quick), s.completed(s.Full)
	}
	return all
}

func (s *Scenario) completed(cells []Cell) []Cell {
	out := slices.Clone(cells)
	for i := range out {
		s.complete(&out[i])
	}
	return out
}

// complete fills in what a cell leaves open.
func (s *Scenario) complete(c *Cell) {
	c.Scenario = s.Name
	for _, d := range []struct {
		to    *int
		value int
	}{{&c.Conns, s.Conns}, {&c.Size, s.Size}, {&c.Pipeline, max(s.Pipeline, 1)}, {&c.Rate, s.Rate}} {
		if *d.to == 0 {
			*d.to = d.value
		}
	}
	if c.Mode == "" {
		c.Mode = Sep
	}
	if c.Variant == "" && len(s.Variants) > 0 {
		c.Variant = s.Variants[0]
	}
}

// Find returns the scenario called name.
func Find(name string) (*Scenario, error) {
	var names []string
	for _, s := range All() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return nil, fmt.Errorf("scenario %q is none of %s", name, strings.Join(names, ", "))
}

// streams are the scenarios over stream connections.
func streams() []*Scenario {
	one := []Cell{{Mode: Sep}}
	all := names(baseline, ouroFaces, []string{"ouro-serve-lease", "ouro-callbacks-epoll", "ouro-goroutines-epoll"}, rivals, inC)
	return []*Scenario{
		{Name: EchoName, About: "messages and their echoes", Role: protocol.Echo, Load: load.Echo, Conns: 64, Size: 64,
			Quick: []Cell{{Mode: Same}, {Mode: Sep}},
			Full: slices.Concat(
				grid([]Mode{Same, Sep}, []int{1, 16, 64, 256, 1000}, []int{64}, []int{1}),
				grid([]Mode{Free}, []int{1, 64, 1000}, []int{64}, []int{1}),
				grid([]Mode{Same, Sep}, []int{64}, []int{1024, 16384}, []int{1}),
				grid([]Mode{Same, Sep}, []int{64}, []int{64}, []int{16})),
			Contestants: all, Few: names(baseline, ouroFaces, rivals, inC), Profiled: true},
		{Name: "latency", About: "echo at a fixed rate; latency from when a message was due", Role: protocol.Echo,
			Load: load.Echo, Conns: 64, Size: 64, Pipeline: 64, Rate: 10_000,
			Quick: one, Full: []Cell{{Mode: Sep, Rate: 5000}, {Mode: Sep, Rate: 20_000}, {Mode: Sep, Rate: 40_000}, {Mode: Free, Rate: 20_000}},
			Contestants: all, Few: names(baseline, []string{"ouro-serve", "ouro-callbacks", "gnet", "c-uring"})},
		{Name: "http", About: "HTTP/1.1 plaintext, keep-alive", Role: protocol.HTTP, Load: load.HTTP, Conns: 64, Size: len(protocol.PlainText),
			Quick:       []Cell{{Mode: Sep}},
			Full:        grid([]Mode{Same, Sep, Free}, []int{64}, []int{len(protocol.PlainText)}, []int{1, 16}),
			Contestants: names(baseline, []string{"ouro-goroutines", "fasthttp", "fasthttp-serve", "fasthttp-serve-epoll", "ouro-http", "ouro-callbacks"}, rivals[:6], inC),
			Few:         []string{"std", "std-again", "ouro-goroutines", "fasthttp", "fasthttp-serve", "ouro-http", "gnet", "rio", "c-uring", "c-epoll"}, Profiled: true},
		{Name: "bulk", About: "large messages and their echoes", Role: protocol.Echo, Load: load.Echo, Conns: 4, Size: 64 << 10, Pipeline: 4,
			Quick: one, Full: slices.Concat(grid([]Mode{Sep}, []int{1, 16}, []int{64 << 10, 1 << 20}, []int{4}), grid([]Mode{Same}, []int{4}, []int{64 << 10}, []int{4})),
			Contestants: all, Few: []string{"std", "std-again", "ouro-serve", "ouro-serve-lease", "gnet", "c-uring", "c-epoll"}},
		{Name: "sink", About: "large writes that the server drops", Role: protocol.Sink, Load: load.Sink, Conns: 4, Size: 256 << 10,
			Quick: one, Full: slices.Concat(grid([]Mode{Sep}, []int{1, 4, 64}, []int{256 << 10}, []int{1}), []Cell{{Mode: Same}}),
			Contestants: all, Few: []string{"std", "std-again", "ouro-serve", "ouro-serve-lease", "gnet", "c-uring", "c-epoll"}},
		{Name: "churn", About: "connect, echo once, close", Role: protocol.Echo, Load: load.Churn, Conns: 16, Size: 64,
			Quick: []Cell{{Mode: Same}}, Full: grid([]Mode{Same, Sep}, []int{1, 64}, []int{64}, []int{1}),
			Contestants: all, Few: []string{"std", "std-again", "ouro-serve", "ouro-callbacks", "ouro-goroutines", "gnet", "c-uring"}},
		{Name: IdleName, About: "memory of idle connections", Role: protocol.Echo, Load: load.Idle, Conns: 10_000, Size: 64,
			Quick: []Cell{{Mode: Same, Conns: 2000}}, Full: []Cell{{Mode: Same}},
			Contestants: all, Few: []string{"std", "std-again", "ouro-serve", "ouro-serve-lease", "ouro-callbacks", "gnet", "c-epoll"}},
	}
}

// others are the scenarios with servers that do more than to send back.
func others() []*Scenario {
	one := []Cell{{Mode: Sep}}
	return []*Scenario{
		{Name: "broadcast", About: "one publishes, all receive", Role: protocol.Broadcast, Load: load.Broadcast, Conns: 100, Size: 64, Pipeline: 4,
			Quick: one, Full: slices.Concat(grid([]Mode{Sep}, []int{100, 1000}, []int{64, 1024}, []int{4}), []Cell{{Mode: Same}}),
			Contestants: names(baseline, []string{"ouro-serve", "ouro-serve-epoll", "ouro-broadcast", "gnet", "nbio"}),
			Few:         []string{"std", "std-again", "ouro-serve", "ouro-broadcast", "gnet"}},
		{Name: "udp", About: "datagrams and their echoes", Role: protocol.UDP, Load: load.UDP, Conns: 64, Size: 64,
			Quick: []Cell{{Mode: Same}}, Full: slices.Concat(grid([]Mode{Same, Sep}, []int{64}, []int{64, 1200}, []int{1}), []Cell{{Mode: Same, Conns: 1}, {Mode: Sep, Conns: 1}}),
			Contestants: names(baseline, []string{"ouro-serve", "ouro-serve-epoll", "ouro-batch", "ouro-goroutines", "gnet", "evio", "rio", "gain", "c-uring", "c-epoll"}),
			Few:         []string{"std", "std-again", "ouro-serve", "ouro-batch", "ouro-goroutines", "gnet", "c-uring", "c-epoll"}},
		{Name: "proxy", About: "copying between two connections", Role: protocol.Proxy, Load: load.Echo, Conns: 16, Size: 16 << 10,
			Quick: one, Full: slices.Concat(grid([]Mode{Same, Sep}, []int{16}, []int{64, 16 << 10, 256 << 10}, []int{1}), []Cell{{Mode: Sep, Pipeline: 4}}),
			Contestants: names(baseline, []string{"std-copy", "ouro-serve", "ouro-serve-epoll", "ouro-serve-lease", "ouro-iocopy", "ouro-goroutines"}),
			Few:         []string{"std", "std-again", "std-copy", "ouro-serve", "ouro-serve-lease", "ouro-iocopy"}},
		{Name: SkewName, About: "handlers that compute, all of them on connections of one worker", Role: protocol.Work, Load: load.Skew,
			Conns: 64, Size: 64, Quick: []Cell{{Mode: Free}}, Full: []Cell{{Mode: Free}, {Mode: Free, Conns: 16}},
			Contestants: names(baseline, []string{"ouro-serve", "ouro-serve-nosteal", "ouro-callbacks", "gnet", "netpoll", "nbio", "evio"}),
			Few:         []string{"std", "std-again", "ouro-serve", "ouro-serve-nosteal", "gnet", "netpoll"}},
		{Name: "block", About: "one message in eight blocks its handler for 1 ms; latency is that of the others", Role: protocol.Block,
			Load: load.Block, Conns: 64, Size: 64, Quick: []Cell{{Mode: Free}}, Full: grid([]Mode{Sep, Free}, []int{64, 1000}, []int{64}, []int{1}),
			Contestants: names(baseline, []string{"ouro-serve", "ouro-serve-epoll", "ouro-goroutines", "gnet", "netpoll", "nbio", "rio"}),
			Few:         []string{"std", "std-again", "ouro-serve", "gnet", "netpoll"}},
	}
}

// programs are the jobs and the pattern matrix.
func programs() []*Scenario {
	var patterns []string
	for _, p := range pattern.All() {
		patterns = append(patterns, contestant.PatternPrefix+p.Name)
	}
	return []*Scenario{
		{Name: "file", About: "blocks read from a file", Role: protocol.File, Conns: 1, Size: 4096, Pipeline: 32,
			Variants: []string{RandomDirect, RandomCached, SequentialDirect, SequentialCached},
			Quick:    []Cell{{Mode: Free, Variant: RandomDirect}, {Mode: Free, Variant: RandomCached}},
			Full: slices.Concat(files(RandomDirect, 4096, 1, 32, 128), files(RandomCached, 4096, 1, 32, 128),
				files(SequentialDirect, 128<<10, 1, 8), files(SequentialCached, 128<<10, 1, 8)),
			Contestants: names(baseline, []string{"ouro-file", "ouro-file-coroutines", "ouro-file-batch", "ouro-file-epoll", "iouring-go", "c-file"}),
			Few:         names(baseline, []string{"ouro-file", "ouro-file-batch", "c-file"})},
		{Name: "timers", About: "timers armed at once, due over a second; latency is their lateness", Role: protocol.Timers, Conns: 1_000_000, Size: 1,
			Variants:    []string{TimerCallbacks, TimerSleepers},
			Quick:       []Cell{{Mode: Free, Conns: 100_000, Variant: TimerCallbacks}},
			Full:        []Cell{{Mode: Free, Variant: TimerCallbacks}, {Mode: Free, Conns: 100_000, Variant: TimerSleepers}},
			Contestants: names(baseline, []string{"ouro-serve"}), Few: []string{"std", "std-again", "ouro-serve"}},
		{Name: PatternsName, About: "one echo service, written in each pattern", Role: protocol.Echo, Load: load.Echo, Conns: 64, Size: 64,
			Quick: []Cell{{Mode: Sep}}, Full: grid([]Mode{Same, Sep, Free}, []int{64}, []int{64}, []int{1}),
			Contestants: names(baseline, patterns)},
		{Name: PatternsIdleName, About: "memory of idle connections in each pattern", Role: protocol.Echo, Load: load.Idle, Conns: 10_000, Size: 64,
			Quick: []Cell{{Mode: Same, Conns: 1000}}, Full: []Cell{{Mode: Same}},
			Contestants: names([]string{"std"}, patterns)},
	}
}

func files(variant string, size int, depths ...int) []Cell {
	var out []Cell
	for _, d := range depths {
		out = append(out, Cell{Mode: Free, Variant: variant, Size: size, Pipeline: d})
	}
	return out
}
