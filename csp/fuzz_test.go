package csp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// FuzzFraming has anything come in, in whatever pieces, and holds the frames that are read against the plainest way to
// find them in the whole; and what was read must come back when it is written and read again.
func FuzzFraming(f *testing.F) {
	f.Add([]byte("one\ntwo\r\n\nrest"), uint8(0), uint16(8), uint8(3))
	f.Add([]byte("\x00\x00\x00\x03abc\x00\x00\x00\x00\x00\x00"), uint8(1), uint16(3), uint8(1))
	f.Add([]byte("a;b;;"), uint8(2), uint16(1), uint8(255))
	f.Add([]byte("\xff\xff\xff\xff"), uint8(1), uint16(65535), uint8(0))
	f.Add(bytes.Repeat([]byte("long "), 40), uint8(0), uint16(300), uint8(16))
	f.Fuzz(func(t *testing.T, in []byte, kind uint8, limit16 uint16, piece uint8) {
		limit := int(limit16) + 1
		var framing Framing
		var model func([]byte, int) ([][]byte, error)
		switch kind % 3 {
		case 0:
			framing = Lines(limit)
			model = func(b []byte, limit int) ([][]byte, error) {
				all, err := splitModel(b, '\n', limit+1) // room for the carriage return
				for i := range all {
					if all[i] = bytes.TrimSuffix(all[i], []byte{'\r'}); len(all[i]) > limit {
						return append([][]byte(nil), all[:i]...), ErrFrameTooLong
					}
				}
				return all, err
			}
		case 1:
			framing, model = LengthPrefixed(limit), prefixModel
		default:
			framing = Delimited(';', limit)
			model = func(b []byte, limit int) ([][]byte, error) { return splitModel(b, ';', limit) }
		}
		frames, err := readAll(framing, bufio.NewReaderSize(&pieces{in, int(piece)%40 + 1}, 16))
		want, wantErr := model(in, limit)
		require.Equal(t, want, frames)
		require.ErrorIs(t, err, wantErr)

		var out bytes.Buffer
		w := bufio.NewWriterSize(&out, 16)
		for _, frame := range frames {
			require.LessOrEqual(t, len(frame), limit)
			require.NoError(t, framing.WriteFrame(w, frame))
		}
		require.NoError(t, w.Flush())
		again, err := readAll(framing, bufio.NewReader(iotest.DataErrReader(&out)))
		require.ErrorIs(t, err, io.EOF)
		for i := range frames {
			if kind%3 == 0 { // a line that ends with a carriage return loses it
				frames[i] = bytes.TrimSuffix(frames[i], []byte{'\r'})
			}
		}
		require.Equal(t, frames, again)
	})
}

func readAll(f Framing, r *bufio.Reader) (all [][]byte, err error) {
	for {
		frame, err := f.ReadFrame(r)
		if err != nil {
			return all, err
		}
		all = append(all, frame)
	}
}

// pieces gives out at most n bytes at a time.
type pieces struct {
	b []byte
	n int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.b[:min(p.n, len(p.b))])
	p.b = p.b[n:]
	return n, nil
}

func splitModel(b []byte, delimiter byte, limit int) (all [][]byte, err error) {
	for len(b) > 0 {
		frame, rest, _ := bytes.Cut(b, []byte{delimiter})
		if len(frame) > limit {
			return all, ErrFrameTooLong
		}
		all, b = append(all, append([]byte{}, frame...)), rest
	}
	return all, io.EOF
}

func prefixModel(b []byte, limit int) (all [][]byte, err error) {
	for len(b) >= 4 {
		n := uint64(binary.BigEndian.Uint32(b))
		switch b = b[4:]; {
		case n > uint64(limit):
			return all, ErrFrameTooLong
		case n > uint64(len(b)):
			return all, io.ErrUnexpectedEOF
		}
		all, b = append(all, append([]byte{}, b[:n]...)), b[n:]
	}
	if len(b) > 0 {
		return all, io.ErrUnexpectedEOF
	}
	return all, io.EOF
}
