package locks_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/locks"
)

// The lock may be held while its holder waits for something.
func ExampleMutex() {
	var m locks.Mutex
	total := 0
	_ = executor.RunScope(context.Background(), executor.ScopeConfig{}, func(s *executor.Scope) error {
		for i := range 4 {
			_ = s.Go(func(ctx context.Context) error {
				if err := m.LockContext(ctx); err != nil {
					return err
				}
				defer m.Unlock()
				executor.Sleep(time.Millisecond)
				total += i
				return nil
			})
		}
		return nil
	})
	fmt.Println(total)
	// Output: 6
}

// At most two at a time.
func ExampleSemaphore() {
	s := locks.NewSemaphore(2)
	s.Acquire(2)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := s.AcquireContext(ctx, 1)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	s.Release(2)
	fmt.Println(s.TryAcquire(1))
	// Output:
	// true
	// true
}
