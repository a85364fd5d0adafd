package load

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noNewFiles fails t when descriptors are open at its end that were not at its beginning.
func noNewFiles(t *testing.T) {
	before := openFiles(t)
	t.Cleanup(func() { require.Equal(t, before, openFiles(t), "open descriptors") })
}

func openFiles(t *testing.T) int {
	d, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(d)
}
