package leaktest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

func TestRun(t *testing.T) {
	require.Zero(t, Run(func() int { return 0 }))
	require.Equal(t, 3, Run(func() int { return 3 }), "the status of tests that failed stays")
}

// impatient has what is left be found at once.
func impatient(t *testing.T) {
	was := patience
	patience = 0
	t.Cleanup(func() { patience = was })
}

func TestRunFindsADescriptor(t *testing.T) {
	impatient(t)
	if Files() == nil {
		t.Skip("needs /proc")
	}
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	require.Zero(t, Run(func() int { return 0 }), "what was open before is nobody's leak")
	var g *os.File
	require.Equal(t, 1, Run(func() int { g, err = os.Open(os.DevNull); return 0 }))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, g.Close())
}

func TestRunFindsAGoroutine(t *testing.T) {
	impatient(t)
	stop := make(chan struct{})
	require.Equal(t, 1, Run(func() int { go func() { <-stop }(); return 0 }))
	close(stop)
}
