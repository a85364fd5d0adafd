package contestant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ouro-io/ouro/bench/protocol"
)

// Contestant is one program that takes part. Exactly one of Program, Module and C says where it comes from.
type Contestant struct {
	// Name selects it, About explains it in a line.
	Name, About string
	// Env is added to its environment.
	Env []string
	// Roles that it can play.
	Roles []protocol.Role

	// Program is the code, in the suite's own binary.
	Program *protocol.Program
	// Module is a folder below bench/rivals, LDFlags what linking it needs.
	Module, LDFlags string
	// C is a program in bench/c, Libs what it links with.
	C    string
	Libs []string
}

// Can reports whether c can play r.
func (c *Contestant) Can(r protocol.Role) bool { return slices.Contains(c.Roles, r) }

// Baseline is the contestant that the others are related to, Twin is the same once more: what separates the two is
// noise. Limit is the one that shows what is possible on the machine.
const (
	Baseline = "std"
	Twin     = "std-again"
	Limit    = "c-uring"
)

// own makes a contestant of code in this binary; the roles are those of serve and do.
func own(name, about string, env []string, serve map[protocol.Role]func(*protocol.Server) error,
	do map[protocol.Role]func(protocol.Args) (protocol.Result, error)) *Contestant {
	p := &protocol.Program{Serve: serve, Do: do}
	c := &Contestant{Name: name, About: about, Env: env, Program: p}
	for r := range serve {
		c.Roles = append(c.Roles, r)
	}
	for r := range do {
		c.Roles = append(c.Roles, r)
	}
	slices.Sort(c.Roles)
	return c
}

// All lists the contestants in the order of the tables.
func All() []*Contestant {
	return slices.Concat([]*Contestant{std(Baseline), std(Twin)}, ouro(), files(), web(), patterns(), rivals(), limits())
}

// Find returns the contestant called name.
func Find(name string) (*Contestant, error) {
	var names []string
	for _, c := range All() {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return nil, fmt.Errorf("no contestant is called %q; there are %s", name, strings.Join(names, ", "))
}
