package stream_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/ouro-io/ouro/stream"
)

// A pipeline over lines of text: cut, filtered, looked up several at a time in order, and written with few writes. Lines
// are borrowed, so they are copied before they are kept.
func Example() {
	text := strings.NewReader("alpha\n\nbeta\ngamma\n")
	lines := stream.Lines(stream.Read(text), 0).Filter(func(l []byte) bool { return len(l) > 0 })
	upper := stream.MapConcurrent(stream.Own(lines), 4, func(_ context.Context, l []byte) ([]byte, error) {
		return []byte(strings.ToUpper(string(l))), nil
	})
	_, err := stream.Write(context.Background(), stream.Gather(stream.WithDelimiter(upper, '\n'), 4096), os.Stdout)
	fmt.Println(err)
	// Output:
	// ALPHA
	// BETA
	// GAMMA
	// <nil>
}

// Streams come from iterators and go back into range statements.
func ExampleStream_Seq() {
	squares := stream.Map(stream.From(slices.Values([]int{1, 2, 3})), func(v int) int { return v * v })
	for v, err := range squares.Seq(context.Background()) {
		fmt.Println(v, err)
	}
	// Output:
	// 1 <nil>
	// 4 <nil>
	// 9 <nil>
}

func ExampleWindow() {
	all, _ := stream.Window(stream.Of(1, 2, 3, 4), 3, 1).Collect(context.Background())
	fmt.Println(all)
	// Output: [[1 2 3] [2 3 4]]
}

func ExampleGroupBy() {
	type total struct {
		even bool
		sum  int
	}
	groups := stream.GroupBy(stream.Of(1, 2, 3, 4, 5), stream.GroupConfig{Groups: 2}, func(v int) bool { return v%2 == 0 })
	totals, _ := stream.MapUnordered(groups, 2, func(ctx context.Context, g stream.Group[bool, int]) (total, error) {
		sum, err := stream.Fold(ctx, g.Values, 0, func(a, v int) int { return a + v })
		return total{g.Key, sum}, err
	}).Collect(context.Background())
	slices.SortFunc(totals, func(a, b total) int { return a.sum - b.sum })
	fmt.Println(totals)
	// Output: [{true 6} {false 9}]
}
