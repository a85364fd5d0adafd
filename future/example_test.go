package future_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ouro-io/ouro/future"
)

// Several sources are asked at once, each with its own limit, and the first good answer counts.
func Example() {
	ctx := context.Background()
	slow := future.Go(ctx, func(ctx context.Context) (string, error) {
		<-ctx.Done() // an operation that is given ctx ends with it
		return "", context.Cause(ctx)
	})
	broken := future.Rejected[string](errors.New("no route"))
	good := future.Go(ctx, func(context.Context) (string, error) { return "42", nil })

	answer, err := future.Any(slow.Timeout(time.Minute), broken, good).Await(ctx)
	fmt.Println(answer, err)
	// Output: 42 <nil>
}

func ExampleThen() {
	var p future.Promise[int]
	f := future.Then(p.Future(), func(v int) (string, error) { return fmt.Sprint(v, " bytes"), nil })
	p.Resolve(3)
	fmt.Println(f.Await(context.Background()))
	// Output: 3 bytes <nil>
}

// Two results of different types make one, and what they need is given back however that ends.
func ExampleZip() {
	ctx := context.Background()
	name := future.Go(ctx, func(context.Context) (string, error) { return "anna", nil })
	age := future.Go(ctx, func(context.Context) (int, error) { return 42, nil })
	both := future.Zip(name, age, func(n string, a int) (string, error) { return fmt.Sprintf("%s, %d", n, a), nil })
	closed := both.Finally(func() { fmt.Println("connection closed") })
	fmt.Println(closed.Await(ctx))
	// Output:
	// connection closed
	// anna, 42 <nil>
}

func ExampleRetry() {
	calls := 0
	f := future.Retry(context.Background(), future.RetryConfig{Attempts: 3, Min: time.Millisecond}, func(context.Context) (int, error) {
		if calls++; calls < 3 {
			return 0, errors.New("busy")
		}
		return calls, nil
	})
	fmt.Println(f.Await(context.Background()))
	// Output: 3 <nil>
}
