package contestant

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/ouro-io/ouro/bench/internal/load"
)

// Buffer sizes that every server which has a buffer per connection uses.
const (
	echoBuffer = 4 << 10
	sinkBuffer = 64 << 10
)

// Options are what a server is started with.
type Options struct {
	// Sink drops what comes in; otherwise it is echoed.
	Sink bool
	// Ready must be called once, with the address listened on.
	Ready func(addr string)
	// AtExit, when called, sets what is printed as statistics when the server ends.
	AtExit func(func() Stats)
}

func (o Options) buffer() int {
	if o.Sink {
		return sinkBuffer
	}
	return echoBuffer
}

// Stats is what a server says about itself when it ends.
type Stats struct {
	// Syscalls is the number of system calls made to serve, from the start on.
	Syscalls uint64 `json:"syscalls"`
}

// Contestant is one server.
type Contestant struct {
	// Name selects it, About explains it in a line.
	Name, About string
	// Env is added to the server's environment.
	Env []string
	// Scenarios that it can take part in; nil means all.
	Scenarios []load.Scenario
	// DefaultIn lists the scenarios in whose default selection it is; nil means all.
	DefaultIn []load.Scenario
	// Serve runs the server, on 127.0.0.1, and returns only on failure. Nil for programs.
	Serve func(Options) error
	// Build makes the program below dir, from the suite's C sources, and returns its path. Nil for Go code. An
	// error says what to install.
	Build func(sources fs.FS, dir string) (string, error)
}

// Takes reports whether c takes part in s; byDefault asks for the default selection.
func (c *Contestant) Takes(s load.Scenario, byDefault bool) bool {
	if c.Scenarios != nil && !slices.Contains(c.Scenarios, s) {
		return false
	}
	return !byDefault || c.DefaultIn == nil || slices.Contains(c.DefaultIn, s)
}

// Baseline is the contestant that the others are related to, Twin is the same once more: what separates the two is
// noise.
const (
	Baseline = "std"
	Twin     = "std-again"
)

// All lists the contestants in the order of the table.
func All() []*Contestant {
	all := []*Contestant{std(Baseline), std(Twin)}
	all = append(all, ouro()...)
	return append(all, gnetServer(), cUring(), cEpoll())
}

// Names lists all names.
func Names() []string {
	var n []string
	for _, c := range All() {
		n = append(n, c.Name)
	}
	return n
}

// Find returns the contestant called name.
func Find(name string) (*Contestant, error) {
	for _, c := range All() {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no contestant is called %q; there are %s", name, strings.Join(Names(), ", "))
}
