package leaktest

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

// hasty does not wait long for what will not go away, until the test ends.
func hasty(t *testing.T) {
	was := patience
	patience = 100 * time.Millisecond
	t.Cleanup(func() { patience = was })
}

func TestRun(t *testing.T) {
	require.Zero(t, Run(func() int { return 0 }))
	require.Equal(t, 3, Run(func() int { return 3 }), "the status of tests that failed stays")
}

func TestRunFindsADescriptor(t *testing.T) {
	if Files() == nil {
		t.Skip("needs /proc")
	}
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	require.Zero(t, Run(func() int { return 0 }), "what was open before is nobody's leak")
	hasty(t)
	var g *os.File
	require.Equal(t, 1, Run(func() int { g, err = os.Open(os.DevNull); return 0 }))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, g.Close())
}

func TestRunFindsAGoroutine(t *testing.T) {
	hasty(t)
	stop := make(chan struct{})
	require.Equal(t, 1, Run(func() int { go func() { <-stop }(); return 0 }))
	close(stop)
}
