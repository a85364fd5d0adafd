package actor

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ouro-io/ouro/executor"
)

// hang is how long a test waits for something that must happen before it gives up.
const hang = 30 * time.Second

func TestMain(m *testing.M) {
	before := openFiles()
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines left:", err)
		code = 1
	}
	if after := openFiles(); after > before && code == 0 {
		fmt.Fprintf(os.Stderr, "descriptors left: %d before, %d after\n", before, after)
		code = 1
	}
	os.Exit(code)
}

func openFiles() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range names {
		// The runtime opens its poller at first use and keeps it.
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && len(to) > 4 && to[:5] != "anon_" {
			n++
		}
	}
	return n
}

func newExecutor(t testing.TB, workers int) *executor.Executor {
	t.Helper()
	e, err := executor.New(executor.Config{Workers: workers})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		require.NoError(t, e.Shutdown(ctx))
		require.Zero(t, e.Stats().Coroutines)
	})
	return e
}

// until bounds a wait that must end.
func until(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	t.Cleanup(cancel)
	return ctx
}
