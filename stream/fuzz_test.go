package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzFrames has anything come in and be cut into frames. Where the chunks begin and end must make no difference, neither
// to the frames nor to the error; no frame may exceed its bound; and what was cut out comes back when it is put together and
// cut again.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("one\ntwo\r\n\nrest"), []byte{1, 2, 3}, uint8(0), uint16(8))
	f.Add([]byte("a;b;;"), []byte{2}, uint8(1), uint16(2))
	for i := range prefixes() {
		f.Add([]byte("\x03abc\x00\x00\x00\x00\x00\x00\x00\x01x"), []byte{1}, uint8(2+i), uint16(100))
		f.Add(bytes.Repeat([]byte{0xff}, 20), []byte{7, 1}, uint8(2+i), uint16(1))
	}
	f.Fuzz(func(t *testing.T, in, sizes []byte, kind uint8, limit16 uint16) {
		limit := int(limit16) + 1
		var cut, join func(Stream[[]byte]) Stream[[]byte]
		switch all := prefixes(); {
		case kind%10 == 0:
			cut = func(s Stream[[]byte]) Stream[[]byte] { return Lines(s, limit) }
			join = func(s Stream[[]byte]) Stream[[]byte] { return WithDelimiter(s, '\n') }
		case kind%10 == 1:
			cut = func(s Stream[[]byte]) Stream[[]byte] { return Delimited(s, ';', limit) }
			join = func(s Stream[[]byte]) Stream[[]byte] { return WithDelimiter(s, ';') }
		default:
			p := all[int(kind%10-2)%len(all)]
			p.Max = limit
			cut = func(s Stream[[]byte]) Stream[[]byte] { return LengthPrefixed(s, p) }
			join = func(s Stream[[]byte]) Stream[[]byte] { return WithLength(s, p) }
		}
		whole, wholeErr := Own(cut(Of(bytes.Clone(in)))).Collect(t.Context())
		got, err := Own(cut(cutUp(in, sizes))).Collect(t.Context())
		require.Equal(t, whole, got)
		for _, sentinel := range []error{ErrFrameTooLong, io.ErrUnexpectedEOF, errVarint} {
			require.Equal(t, errors.Is(wholeErr, sentinel), errors.Is(err, sentinel), "%v, in pieces %v", wholeErr, err)
		}
		require.Equal(t, wholeErr == nil, err == nil)
		for _, frame := range got {
			require.LessOrEqual(t, len(frame), limit)
		}
		wire, err := Own(join(Of(got...))).Collect(t.Context())
		require.NoError(t, err)
		again, err := Own(cut(cutUp(bytes.Join(wire, nil), sizes))).Collect(t.Context())
		require.NoError(t, err)
		require.Len(t, again, len(got))
		for i, frame := range got {
			if kind%10 == 0 { // a line that ends with a carriage return loses it
				frame = bytes.TrimSuffix(frame, []byte{'\r'})
			}
			require.Equal(t, string(frame), string(again[i]))
		}
	})
}

// cutUp is b in chunks of the sizes given, over and over, each in memory that is overwritten when it is no longer lent.
func cutUp(b, sizes []byte) Stream[[]byte] {
	return func(_ context.Context, yield func([]byte) bool) error {
		rest := b
		for i := 0; len(rest) > 0; i++ {
			n := 1
			if len(sizes) > 0 {
				n += int(sizes[i%len(sizes)])
			}
			chunk := bytes.Clone(rest[:min(n, len(rest))])
			rest = rest[len(chunk):]
			if !yield(chunk) {
				return nil
			}
			for i := range chunk {
				chunk[i] = 0xDB
			}
		}
		return nil
	}
}
