package stream

import (
	"context"
	"fmt"
	"testing"

	"github.com/ouro-io/ouro/internal/worldtest"
)

// The concurrent operators with a million operations each, on goroutines and on 1, 2 and 8 workers: nothing is lost, doubled or
// reordered.
func TestStress(t *testing.T) {
	n := worldtest.Scale(1_000_000)
	for name, run := range map[string]func(ctx context.Context) error{
		"Merge and Buffer": func(ctx context.Context) error {
			const sources = 4
			var ss []Stream[[2]int]
			for p := range sources {
				ss = append(ss, Map(upTo(n/sources, nil), func(i int) [2]int { return [2]int{p, i} }))
			}
			var next [sources]int
			err := Merge(ss...).Buffer(64).ForEach(ctx, func(v [2]int) error {
				if v[1] != next[v[0]] {
					return fmt.Errorf("value %d of source %d where %d was expected", v[1], v[0], next[v[0]])
				}
				next[v[0]]++
				return nil
			})
			if want := n / sources; err == nil && next != [sources]int{want, want, want, want} {
				err = fmt.Errorf("%v values instead of %d each", next, want)
			}
			return err
		},
		"MapConcurrent": func(ctx context.Context) error {
			n := n / 5 // a value is a coroutine, a place, a turn, and two ways through a pipe
			next := 0
			err := MapConcurrent(upTo(n, nil), 4, func(_ context.Context, v int) (int, error) { return 2 * v, nil }).
				ForEach(ctx, func(v int) error {
					if v != 2*next {
						return fmt.Errorf("%d where %d was expected", v, 2*next)
					}
					next++
					return nil
				})
			if err == nil && next != n {
				err = fmt.Errorf("%d values of %d", next, n)
			}
			return err
		},
		"MapUnordered": func(ctx context.Context) error {
			n := n / 4
			seen := make([]bool, n)
			count, err := Fold(ctx, MapUnordered(upTo(n, nil), 4, func(_ context.Context, v int) (int, error) { return v, nil }), 0,
				func(c, v int) int {
					if seen[v] {
						return c // once more
					}
					seen[v] = true
					return c + 1
				})
			if err == nil && count != n {
				err = fmt.Errorf("%d different values of %d", count, n)
			}
			return err
		},
		"Tee and Zip": func(ctx context.Context) error {
			both := upTo(n, nil).Tee(2, 16)
			next := 0
			err := Zip(both[0], both[1], func(a, b int) [2]int { return [2]int{a, b} }).ForEach(ctx, func(v [2]int) error {
				if v != [2]int{next, next} {
					return fmt.Errorf("%v where %d was expected twice", v, next)
				}
				next++
				return nil
			})
			if err == nil && next != n {
				err = fmt.Errorf("%d values of %d", next, n)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			worldtest.OnEachSide(t, func(t *testing.T) error { return run(worldtest.Within(t)) })
		})
	}
}
