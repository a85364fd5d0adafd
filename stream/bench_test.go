package stream

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/ouro-io/ouro/internal/worldtest"
)

// The functions and the sequence are behind variables, so that no loop below gets to know them at compile time.
var (
	benchDouble = func(v int) int { return v*2 + 1 }
	benchThird  = func(v int) bool { return v%3 == 0 }
	benchAdd    = func(a, v int) int { return a + v }
	benchSeq    = func(n int) iter.Seq[int] {
		return func(yield func(int) bool) {
			for i := range n {
				if !yield(i) {
					return
				}
			}
		}
	}
	benchSink int
)

const benchValues = 10_000

// BenchmarkPipeline compares Map, Filter and Fold over an iter.Seq with loops written by hand over the same sequence: one
// that calls the same functions, and one whose body is written out.
func BenchmarkPipeline(b *testing.B) {
	seq := benchSeq(benchValues)
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"hand, same functions", func() {
			sum := 0
			for v := range seq {
				if v = benchDouble(v); benchThird(v) {
					sum = benchAdd(sum, v)
				}
			}
			benchSink = sum
		}},
		{"hand, written out", func() {
			sum := 0
			for v := range seq {
				if v = v*2 + 1; v%3 == 0 {
					sum += v
				}
			}
			benchSink = sum
		}},
		{"stream", func() {
			benchSink, _ = Fold(context.Background(), Map(From(seq), benchDouble).Filter(benchThird), 0, benchAdd)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.run()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchValues, "ns/value")
		})
	}
}

// BenchmarkLines compares the search for line ends by bytes.IndexByte, which is vectorised, with a plain loop.
func BenchmarkLines(b *testing.B) {
	for _, length := range []int{16, 64, 512} {
		text := bytes.Repeat(append(bytes.Repeat([]byte{'x'}, length-1), '\n'), (64<<10)/length)
		want := len(text) / length
		b.Run(fmt.Sprintf("%d B/stream.Lines", length), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			s := Lines(Of(text), 0)
			for b.Loop() {
				if n, _ := Fold(context.Background(), s, 0, func(a int, _ []byte) int { return a + 1 }); n != want {
					b.Fatal(n)
				}
			}
		})
		b.Run(fmt.Sprintf("%d B/plain loop", length), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			f := func(a int, _ []byte) int { return a + 1 }
			for b.Loop() {
				n, begin := 0, 0
				for i, c := range text {
					if c == '\n' {
						n = f(n, text[begin:i])
						begin = i + 1
					}
				}
				if n != want {
					b.Fatal(n)
				}
			}
		})
	}
}

// BenchmarkXOR compares subtle.XORBytes, which is vectorised, with a plain loop, at a key of four bytes.
func BenchmarkXOR(b *testing.B) {
	data, key := make([]byte, 64<<10), []byte{1, 2, 3, 4}
	b.Run("stream.XOR", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		s := XOR(Of(data), key)
		for b.Loop() {
			_ = s.Run(context.Background())
		}
	})
	b.Run("plain loop", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			for i := range data {
				data[i] ^= key[i&3]
			}
		}
	})
}

// BenchmarkBuffer measures the way over a concurrent stage, between coroutines of one worker and between goroutines.
func BenchmarkBuffer(b *testing.B) {
	run := func(b *testing.B) error {
		b.ReportAllocs()
		n, err := Fold(context.Background(), From(benchSeq(b.N)).Buffer(64), 0, func(a, _ int) int { return a + 1 })
		if n != b.N {
			err = fmt.Errorf("%d of %d", n, b.N)
		}
		return err
	}
	b.Run("goroutines", func(b *testing.B) {
		if err := run(b); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("coroutines", func(b *testing.B) {
		e := worldtest.NewExecutor(b, 1)
		if err := worldtest.OnCoroutine(b, e, func() error { return run(b) }); err != nil {
			b.Fatal(err)
		}
	})
}
