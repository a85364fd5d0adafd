//go:build linux

package simkernel

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/internal/optest"
)

// TestContract runs the suite of all backends: on a dull kernel, and on those that do what a kernel may at any time. EINTR
// is left out: the suite submits again after it, though a cancel may have come in between. Each check has dice of its own,
// so that what it meets does not depend on the checks before it; a seed is taken with which no unasked cancel cuts the
// large sends of the suite short, as it takes those for whole. With seed 77 a late completion of an old operation holds the
// only buffer for a moment, in "none left, and nothing lost".
func TestContract(t *testing.T) {
	for _, c := range []struct {
		name    string
		seed    uint64 // 0: no chance
		faults  Faults
		backend BackendConfig
	}{
		{name: "dull"},
		{name: "dull reactor", backend: BackendConfig{Reactor: true}},
		{name: "any order, short queue", seed: 1, backend: BackendConfig{CQEntries: 3}},
		{name: "lazy", seed: 4, faults: Faults{Orphan: 50, End: 100, Late: 300, Stale: 50}},
		{name: "lazy, with a late buffer", seed: 77, faults: Faults{Orphan: 50, End: 100, Late: 300, Stale: 50}},
	} {
		t.Run(c.name, func(t *testing.T) {
			kernels := map[testing.TB]*Kernel{} // the backends of one check share a kernel
			optest.Run(t, func(t testing.TB, b buffers.GroupConfig) op.Backend {
				k := kernels[t]
				if k == nil {
					config := Config{Faults: c.faults, Watch: true}
					if c.seed != 0 {
						config.Chooser = newDice(c.seed)
					}
					k = New(config)
					kernels[t] = k
					t.Cleanup(func() { require.Empty(t, k.Violations()) })
				}
				c.backend.Buffers = b
				return newTested(t, k, c.backend)
			})
		})
	}
}

// tested is a Backend that brings its own system calls.
type tested struct{ *Backend }

func newTested(t testing.TB, k *Kernel, c BackendConfig) op.Backend {
	b, err := k.NewBackend(c)
	require.NoError(t, err)
	return tested{b}
}

func (b tested) Sockets() optest.Sockets { return sockets{b.k} }
