package executor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ouro-io/ouro/executor"
)

// The first error cancels the rest, and what the scope owns is closed when all have ended.
func ExampleRunScope() {
	err := executor.RunScope(context.Background(), executor.ScopeConfig{}, func(s *executor.Scope) error {
		_ = s.Defer(func(context.Context) error { fmt.Println("closed"); return nil })
		_ = s.Go(func(ctx context.Context) error { return executor.SleepContext(ctx, time.Hour) })
		return s.Go(func(context.Context) error { return errors.New("disk full") })
	})
	fmt.Println(err)
	// Output:
	// closed
	// disk full
}

// Coroutines of one worker take turns.
func ExampleYield() {
	e, err := executor.New(executor.Config{Workers: 1})
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"a", "b"} {
		_ = e.Go(func() {
			for i := range 2 {
				fmt.Println(name, i)
				executor.Yield()
			}
		})
	}
	_ = e.Shutdown(context.Background())
	// Unordered output:
	// a 0
	// b 0
	// a 1
	// b 1
}
