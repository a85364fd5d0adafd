//go:build linux

package proactor

import "github.com/ouro-io/ouro/internal/op"

// Simulate has the engine of c stand on p instead of the kernel. It is for this module's own tests: p's type is internal.
func Simulate(c *Config, p op.Parts) {
	c.clock, c.rand, c.system, c.backend = p.Clock, p.Rand, p.System, p.Backend
	c.bulk = bulk{size: 64, reads: 2} // its programs read little
}
