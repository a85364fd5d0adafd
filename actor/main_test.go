package actor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/leaktest"
)

// hang is how long a test waits for something that must happen before it gives up.
const hang = 30 * time.Second

func TestMain(m *testing.M) { leaktest.Main(m) }

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
