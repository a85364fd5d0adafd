//go:build linux

package ringbackend

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/leaktest"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/internal/optest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// open makes a backend, and skips only where the kernel really has no io_uring.
func open(t testing.TB, c Config) *Backend {
	if err := denytest.NoRing(); err != nil {
		t.Skip(err)
	}
	b, err := New(c)
	require.NoError(t, err)
	return b
}

func TestContract(t *testing.T) {
	optest.Run(t, func(t testing.TB, b buffers.GroupConfig) op.Backend { return open(t, Config{Buffers: b}) })
}

// The smallest queues: each submission enters the kernel, and completions overflow all the time.
func TestContractTinyQueues(t *testing.T) {
	optest.Run(t, func(t testing.TB, b buffers.GroupConfig) op.Backend {
		return open(t, Config{Buffers: b, Entries: 1, CQEntries: 2})
	})
}

// Always idle: every wait goes through the runtime's poller.
func TestContractParked(t *testing.T) {
	optest.Run(t, func(t testing.TB, b buffers.GroupConfig) op.Backend {
		r := open(t, Config{Buffers: b})
		return parked{r}
	})
}

// parked is a backend that takes itself for idle at each turn.
type parked struct{ *Backend }

func (p parked) Poll(wait time.Duration) (int, error) {
	p.pace.Idled()
	return p.Backend.Poll(wait)
}
