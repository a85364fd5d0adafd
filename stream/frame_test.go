package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ouro-io/ouro/internal/worldtest"
)

// chopped is b in chunks of random sizes, each in memory that is overwritten as soon as it is no longer lent.
func chopped(rt *rapid.T, b []byte) Stream[[]byte] {
	var sizes []int
	for left := len(b); left > 0; {
		n := rapid.IntRange(1, min(left, 20)).Draw(rt, "chunk")
		sizes = append(sizes, n)
		left -= n
	}
	return func(_ context.Context, yield func([]byte) bool) error {
		rest := b
		lent := make([]byte, 20)
		for _, n := range sizes {
			chunk := lent[:copy(lent, rest[:n])]
			rest = rest[n:]
			if !yield(chunk) {
				return nil
			}
			for i := range lent {
				lent[i] = 0xDB
			}
		}
		return nil
	}
}

func TestLinesAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab\r\n")), 0, 80, -1).Draw(rt, "text")
		got, err := Own(Lines(chopped(rt, []byte(text)), 0)).Collect(worldtest.Within(t))
		require.NoError(rt, err)
		var want []string
		if text != "" {
			want = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		}
		require.Len(rt, got, len(want))
		for i := range want {
			require.Equal(rt, strings.TrimSuffix(want[i], "\r"), string(got[i]))
		}
	})
}

func TestDelimitedAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("abc;")), 0, 60, -1).Draw(rt, "text")
		limit := rapid.IntRange(1, 20).Draw(rt, "limit")
		got, err := Own(Delimited(chopped(rt, []byte(text)), ';', limit)).Collect(worldtest.Within(t))
		parts := strings.Split(text, ";")
		var wantErr error
		for i, p := range parts {
			last := i == len(parts)-1
			switch {
			case len(p) > limit:
				wantErr = ErrFrameTooLong
			case last && p != "":
				wantErr = io.ErrUnexpectedEOF
			case !last:
				continue
			}
			parts = parts[:i]
			break
		}
		if wantErr != nil || len(parts) > 0 && parts[len(parts)-1] == "" && strings.HasSuffix(text, ";") {
			parts = parts[:min(len(parts), len(got))]
		}
		require.ErrorIs(rt, err, wantErr)
		require.Equal(rt, strings.Join(parts, ";"), string(bytes.Join(got, []byte(";"))))
		require.Equal(rt, len(parts), len(got))
	})
}

func prefixes() []Prefix {
	return []Prefix{{}, {Bytes: 1}, {Bytes: 2}, {Bytes: 2, Little: true}, {Bytes: 4, Little: true}, {Bytes: 8}, {Bytes: 8, Little: true}, {Varint: true}}
}

func TestLengthPrefixedAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := rapid.SampledFrom(prefixes()).Draw(rt, "prefix")
		frames := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 200), 0, 8).Draw(rt, "frames")
		var wire []byte
		for _, f := range frames {
			var err error
			wire, err = p.Append(wire, f)
			require.NoError(rt, err)
		}
		encoded, err := Own(WithLength(Of(frames...), p)).Collect(worldtest.Within(t))
		require.NoError(rt, err)
		require.Equal(rt, string(wire), string(bytes.Join(encoded, nil)))

		cut := rapid.IntRange(0, len(wire)).Draw(rt, "cut")
		got, err := Own(LengthPrefixed(chopped(rt, wire[:cut]), p)).Collect(worldtest.Within(t))
		n, whole := 0, 0 // how many frames are whole, and where they end
		for n < len(frames) {
			next, _ := p.Append(nil, frames[n])
			if whole+len(next) > cut {
				break
			}
			whole += len(next)
			n++
		}
		if whole == cut {
			require.NoError(rt, err)
		} else {
			require.ErrorIs(rt, err, io.ErrUnexpectedEOF)
		}
		require.Len(rt, got, n)
		for i := range got {
			require.Equal(rt, string(frames[i]), string(got[i]))
		}
	})
}

func TestFrameBounds(t *testing.T) {
	ctx := worldtest.Within(t)
	require.ErrorIs(t, LengthPrefixed(Of([]byte{0xff, 0xff, 0xff, 0xff}), Prefix{}).Run(ctx), ErrFrameTooLong)
	require.ErrorIs(t, LengthPrefixed(Of([]byte{0, 0, 0}, []byte{9, 1}), Prefix{Max: 8}).Run(ctx), ErrFrameTooLong)
	require.ErrorIs(t, LengthPrefixed(Of(bytes.Repeat([]byte{0xff}, 11)), Prefix{Varint: true}).Run(ctx), errVarint)
	require.ErrorIs(t, LengthPrefixed(Of(bytes.Repeat([]byte{0xff}, 8)), Prefix{Bytes: 8}).Run(ctx), ErrFrameTooLong)
	_, err := Prefix{Bytes: 1}.Append(nil, make([]byte, 256))
	require.ErrorIs(t, err, ErrFrameTooLong)
	require.ErrorIs(t, Lines(Of(make([]byte, 100)), 99).Run(ctx), ErrFrameTooLong)
	for _, p := range []Prefix{{Bytes: 3}, {Varint: true, Bytes: 4}, {Max: -1}} {
		require.Panics(t, func() { LengthPrefixed(Of[[]byte](), p) })
	}
}

// TestFramesAreNotCopied: a frame within a chunk is the chunk's memory.
func TestFramesAreNotCopied(t *testing.T) {
	chunk := []byte("one\ntwo\n")
	n := 0
	require.NoError(t, Lines(Of(chunk), 0).ForEach(worldtest.Within(t), func(line []byte) error {
		require.Same(t, &chunk[n*4], &line[0])
		n++
		return nil
	}))
	require.Equal(t, 2, n)
	if worldtest.Race {
		return
	}
	// And none is allocated, not even for those that straddle chunks.
	many := bytes.Repeat([]byte("a line of text\n"), 2000)
	run := func(size int) float64 {
		s := Lines(Read(bytes.NewReader(many[:size])), 0)
		return testing.AllocsPerRun(5, func() { _ = s.Run(context.Background()) })
	}
	sameAllocs(t, "frames", func() float64 { return run(1500) }, func() float64 { return run(len(many)) })
}

func TestXORAndSum(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(rt, "data")
		key := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(rt, "key")
		h := crc32.NewIEEE()
		got, err := Own(Sum(XOR(chopped(rt, data), key), h)).Collect(worldtest.Within(t))
		require.NoError(rt, err)
		want := bytes.Clone(data)
		for i := range want {
			if len(key) > 0 {
				want[i] ^= key[i%len(key)]
			}
		}
		require.Equal(rt, string(want), string(bytes.Join(got, nil)))
		require.Equal(rt, crc32.ChecksumIEEE(want), h.Sum32())
	})
}

// TestGatherKeepsOrder: nothing is lost, and a slow consumer gets few large chunks.
func TestGatherKeepsOrder(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		for _, size := range []int{1, 7, 64, 1 << 20} {
			small := Map(upTo(1000, nil), func(i int) []byte { return fmt.Appendf(nil, "%d,", i) })
			var want, got []byte
			for i := range 1000 {
				want = fmt.Appendf(want, "%d,", i)
			}
			err := Gather(small, size).ForEach(worldtest.Within(t), func(b []byte) error {
				if len(b) > max(size, 4) {
					return fmt.Errorf("%d bytes in one, where %d may gather", len(b), size)
				}
				got = append(got, b...)
				return nil
			})
			if err != nil || !bytes.Equal(got, want) {
				return fmt.Errorf("size %d: %v", size, err)
			}
		}
		return nil
	})
}

func TestFiles(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		name := filepath.Join(t.TempDir(), "x")
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		defer f.Close()
		lines := Map(upTo(20_000, nil), func(i int) []byte { return fmt.Appendf(nil, "line %d", i) })
		n, err := Write(worldtest.Within(t), Gather(WithDelimiter(lines, '\n'), 4096), f)
		if err != nil {
			return err
		}
		r, err := os.Open(name)
		if err != nil {
			return err
		}
		defer r.Close()
		i, size := 0, int64(0)
		err = Lines(Read(r), 0).ForEach(worldtest.Within(t), func(line []byte) error {
			if string(line) != fmt.Sprintf("line %d", i) {
				return fmt.Errorf("%q at %d", line, i)
			}
			i++
			size += int64(len(line)) + 1
			return nil
		})
		if err != nil || i != 20_000 || size != n {
			return fmt.Errorf("%d lines, %d bytes of %d, %v", i, size, n, err)
		}
		return nil
	})
}

// failingWriter takes a few bytes of each write.
type failingWriter struct{ n int }

func (w failingWriter) Write(b []byte) (int, error) { return min(w.n, len(b)), nil }

func TestShortWrite(t *testing.T) {
	n, err := Write(worldtest.Within(t), Of([]byte("abc"), []byte("defgh")), failingWriter{4})
	require.EqualValues(t, 7, n)
	require.True(t, errors.Is(err, io.ErrShortWrite))
}
