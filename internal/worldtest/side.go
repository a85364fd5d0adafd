package worldtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
)

// NewExecutor makes an executor that is shut down when the test ends, and must be empty then.
func NewExecutor(t testing.TB, workers int) *executor.Executor {
	t.Helper()
	e, err := executor.New(executor.Config{Workers: workers})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Hang)
		defer cancel()
		require.NoError(t, e.Shutdown(ctx))
		require.Zero(t, e.Stats().Coroutines)
	})
	return e
}

// OnEachSide runs f as an ordinary goroutine and as a coroutine of executors of 1, 2 and 8 workers. f must not call
// t.FailNow on the coroutine, so it returns an error instead.
func OnEachSide(t *testing.T, f func(t *testing.T) error) {
	t.Run("goroutine", func(t *testing.T) { require.NoError(t, f(t)) })
	for _, n := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("coroutine of %d", n), func(t *testing.T) {
			require.NoError(t, OnCoroutine(t, NewExecutor(t, n), func() error { return f(t) }))
		})
	}
}

// OnCoroutine runs f as a coroutine of e and returns its error, which may be a panic's.
func OnCoroutine(t testing.TB, e *executor.Executor, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	var err error
	require.NoError(t, e.Workers()[0].Start(new(executor.Coroutine), executor.Spawn{
		Run: func() { err = f() },
		Exit: func(how error) {
			if how == nil {
				how = err
			}
			done <- how
		},
	}))
	select {
	case err := <-done:
		return err
	case <-time.After(Hang):
		return errors.New("hangs")
	}
}

// Within bounds a wait that must end.
func Within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Hang)
	t.Cleanup(cancel)
	return ctx
}
