package stream

import (
	"context"
	"fmt"
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

// onEachSide runs f as an ordinary goroutine and as a coroutine of executors of 1, 2 and 8 workers. f must not call
// t.FailNow on the coroutine, so it returns an error instead.
func onEachSide(t *testing.T, f func(t *testing.T) error) {
	t.Run("goroutine", func(t *testing.T) { require.NoError(t, f(t)) })
	for _, n := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("coroutine of %d", n), func(t *testing.T) {
			require.NoError(t, onCoroutine(t, newExecutor(t, n), func() error { return f(t) }))
		})
	}
}

// onCoroutine runs f as a coroutine and returns its error.
func onCoroutine(t testing.TB, e *executor.Executor, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	var err error
	require.NoError(t, e.Workers()[0].Start(new(executor.Coroutine), executor.Spawn{
		Run:  func() { err = f() },
		Exit: func(how error) { done <- cmpErr(how, err) },
	}))
	select {
	case err := <-done:
		return err
	case <-time.After(hang):
		return fmt.Errorf("hangs")
	}
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// until bounds a wait that must end.
func until(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	t.Cleanup(cancel)
	return ctx
}
