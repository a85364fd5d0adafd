package contestant

import (
	"github.com/ouro-io/ouro/bench/internal/pattern"
	"github.com/ouro-io/ouro/bench/protocol"
)

// patterns lists one echo service in each programming pattern.
func patterns() []*Contestant {
	var out []*Contestant
	for _, p := range pattern.All() {
		out = append(out, own(PatternPrefix+p.Name, p.About, onUring, servers{protocol.Echo: p.Serve}, nil))
	}
	return out
}

// PatternPrefix begins the names of the contestants in the pattern matrix.
const PatternPrefix = "pattern-"
