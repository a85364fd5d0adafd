package csp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Framing says how frames, which are messages of bytes, lie in a stream.
type Framing interface {
	// ReadFrame reads the next frame, whose memory belongs to the caller. It returns io.EOF only between frames, and
	// io.ErrUnexpectedEOF within one.
	ReadFrame(r *bufio.Reader) ([]byte, error)
	// WriteFrame writes a frame. It need not flush, and does not keep frame.
	WriteFrame(w *bufio.Writer, frame []byte) error
}

// ErrFrameTooLong means that a frame is longer than its Framing allows: the peer does not speak this framing, or the
// limit is too low. The stream cannot be read on.
var ErrFrameTooLong = errors.New("csp: the frame is longer than the framing's limit")

// ErrFrameHasDelimiter means that a frame contains the byte that ends frames, so that it would become two.
var ErrFrameHasDelimiter = errors.New("csp: the frame contains the delimiter")

// LengthPrefixed is the framing of a length of 4 bytes, big-endian, and then that many bytes, at most limit. It panics
// when limit is not positive.
func LengthPrefixed(limit int) Framing { return lengthPrefixed(positive(limit)) }

// Delimited is the framing of bytes, at most limit, and then the byte delimiter, which frames do not contain. The last
// frame of a stream needs no delimiter. It panics when limit is not positive.
func Delimited(delimiter byte, limit int) Framing {
	return delimited{delimiter, positive(limit), false}
}

// Lines is the framing of lines of at most limit bytes that end with a newline. A carriage return before it is dropped
// when reading. It panics when limit is not positive.
func Lines(limit int) Framing { return lines{delimited{'\n', positive(limit), true}} }

func positive(limit int) int {
	if limit <= 0 {
		panic(fmt.Sprintf("csp: a framing with the limit %d: use 1 or more", limit))
	}
	return limit
}

type lengthPrefixed int

func (limit lengthPrefixed) ReadFrame(r *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if uint64(n) > uint64(limit) {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrFrameTooLong, n, int(limit))
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, within(err)
	}
	return frame, nil
}

func (limit lengthPrefixed) WriteFrame(w *bufio.Writer, frame []byte) error {
	if len(frame) > int(limit) {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrFrameTooLong, len(frame), int(limit))
	}
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(frame)))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(frame)
	return err
}

// within makes the end of the stream an error inside a frame.
func within(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

type delimited struct {
	delimiter byte
	limit     int
	lines     bool // a carriage return at the end does not count
}

func (d delimited) ReadFrame(r *bufio.Reader) ([]byte, error) {
	var frame []byte
	for {
		part, err := r.ReadSlice(d.delimiter)
		ended := err == nil
		if ended {
			part = part[:len(part)-1]
		}
		frame = append(frame, part...)
		if over := len(frame) - d.limit; over > 1 || over == 1 && !(d.lines && frame[d.limit] == '\r') {
			return nil, fmt.Errorf("%w: more than %d bytes", ErrFrameTooLong, d.limit)
		}
		switch {
		case ended && frame == nil:
			return []byte{}, nil
		case ended || err == io.EOF && len(frame) > 0:
			return frame, nil
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}

func (d delimited) WriteFrame(w *bufio.Writer, frame []byte) error {
	if len(frame) > d.limit {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrFrameTooLong, len(frame), d.limit)
	}
	if bytes.IndexByte(frame, d.delimiter) >= 0 {
		return ErrFrameHasDelimiter
	}
	if _, err := w.Write(frame); err != nil {
		return err
	}
	return w.WriteByte(d.delimiter)
}

type lines struct{ delimited }

func (l lines) ReadFrame(r *bufio.Reader) ([]byte, error) {
	frame, err := l.delimited.ReadFrame(r)
	return bytes.TrimSuffix(frame, []byte{'\r'}), err
}
