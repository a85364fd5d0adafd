//go:build linux

package reactorfallback

import (
	"testing"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/internal/optest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newReactor(t testing.TB, b buffers.GroupConfig) op.Backend {
	r, err := New(Config{Buffers: b})
	require.NoError(t, err)
	return r
}

func TestContract(t *testing.T) { optest.Run(t, newReactor) }

func BenchmarkEcho1(b *testing.B)    { optest.BenchEcho(b, newReactor, 1) }
func BenchmarkEcho64(b *testing.B)   { optest.BenchEcho(b, newReactor, 64) }
func BenchmarkEcho1000(b *testing.B) { optest.BenchEcho(b, newReactor, 1000) }
