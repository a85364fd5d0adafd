package stream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// MaxFrame is the default bound on the length of a frame in bytes.
const MaxFrame = 1 << 20

// ErrFrameTooLong means that a frame is longer than its bound. The bytes after it are not read.
var ErrFrameTooLong = errors.New("stream: frame too long")

// carry holds the beginning of a frame whose end is in a later chunk. Frames that lie in one chunk never touch it.
type carry struct {
	b   []byte
	max int
}

func newCarry(limit int) (c carry) {
	if limit < 0 {
		panic("stream: a negative bound on frames")
	}
	if limit == 0 {
		limit = MaxFrame
	}
	return carry{max: limit}
}

// fits tells whether what is carried may go on with part.
func (c *carry) fits(part []byte, lines bool) bool {
	over := len(c.b) + len(part) - c.max
	if over != 1 || !lines {
		return over <= 0
	}
	end := part // of a line, of which a carriage return is not a part
	if len(part) == 0 {
		end = c.b
	}
	return end[len(end)-1] == '\r'
}

func (c *carry) tooLong(n int) error {
	return fmt.Errorf("%w: at least %d bytes, where %d are allowed", ErrFrameTooLong, n, c.max)
}

// Lines cuts chunks into lines, without "\n" or "\r\n". The last one may lack its end. A line may have up to limit bytes (0
// means MaxFrame). Lines are borrowed: those within a chunk are not copied.
func Lines(chunks Stream[[]byte], limit int) Stream[[]byte] {
	return Map(cut(chunks, '\n', limit, true), func(line []byte) []byte {
		return bytes.TrimSuffix(line, []byte{'\r'})
	})
}

// Delimited cuts chunks into frames that end with delim, which is taken off. Bytes behind the last one are
// io.ErrUnexpectedEOF. Bound and ownership are those of Lines.
func Delimited(chunks Stream[[]byte], delim byte, limit int) Stream[[]byte] {
	return cut(chunks, delim, limit, false)
}

// cut is Delimited; for lines the last frame needs no end, and a carriage return before it does not count.
func cut(chunks Stream[[]byte], delim byte, limit int, lines bool) Stream[[]byte] {
	fresh := newCarry(limit)
	return func(ctx context.Context, yield func([]byte) bool) error {
		c := fresh
		stopped := false
		var failed error
		err := chunks(ctx, func(chunk []byte) bool {
			for len(chunk) > 0 {
				i := bytes.IndexByte(chunk, delim)
				end := i
				if i < 0 {
					end = len(chunk)
				}
				if !c.fits(chunk[:end], lines) {
					failed = c.tooLong(len(c.b) + end)
					return false
				}
				if i < 0 {
					c.b = append(c.b, chunk...)
					return true
				}
				frame := chunk[:i:i]
				if len(c.b) > 0 {
					frame = append(c.b, frame...)
					c.b = frame[:0]
				}
				if chunk = chunk[i+1:]; !yield(frame) {
					stopped = true
					return false
				}
			}
			return true
		})
		switch {
		case failed != nil:
			return failed
		case err != nil || stopped || len(c.b) == 0:
			return err
		case !lines:
			return io.ErrUnexpectedEOF
		}
		yield(c.b)
		return nil
	}
}

// Prefix is how the length stands before a frame. The zero value is four bytes, big-endian.
type Prefix struct {
	// Bytes is the size of the length: 1, 2, 4 or 8; 0 means 4.
	Bytes int
	// Varint makes it a varint as of encoding/binary instead; Bytes must be 0 then.
	Varint bool
	// Little makes it little-endian.
	Little bool
	// Max bounds the length of a frame in bytes, without the prefix; 0 means MaxFrame.
	Max int
}

func (p Prefix) check() Prefix {
	if p.Bytes == 0 && !p.Varint {
		p.Bytes = 4
	}
	if p.Max == 0 {
		p.Max = MaxFrame
	}
	fits := p.Varint || p.Bytes == 8 || p.Bytes == 4 && uint64(p.Max) <= math.MaxUint32 || p.Bytes == 2 || p.Bytes == 1
	if p.Max < 0 || p.Varint && p.Bytes != 0 || !fits {
		panic(fmt.Sprintf("stream: Prefix{Bytes: %d, Varint: %v, Max: %d} makes no sense", p.Bytes, p.Varint, p.Max))
	}
	return p
}

// order is the byte order of the length.
func (p Prefix) order() interface {
	binary.ByteOrder
	binary.AppendByteOrder
} {
	if p.Little {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

var errVarint = errors.New("stream: the length before a frame overflows 64 bits")

// parse reads a length from the beginning of b; size is 0 when b is too short.
func (p Prefix) parse(b []byte) (n uint64, size int, err error) {
	if p.Varint {
		n, size = binary.Uvarint(b)
		if size < 0 || size == 0 && len(b) >= binary.MaxVarintLen64 {
			return 0, 0, errVarint
		}
		return n, size, nil
	}
	if len(b) < p.Bytes {
		return 0, 0, nil
	}
	switch p.Bytes {
	case 1:
		n = uint64(b[0])
	case 2:
		n = uint64(p.order().Uint16(b))
	case 4:
		n = uint64(p.order().Uint32(b))
	default:
		n = p.order().Uint64(b)
	}
	return n, p.Bytes, nil
}

// Append appends frame to b with its length before it. It fails when the frame is longer than Max or its length does not
// fit.
func (p Prefix) Append(b, frame []byte) ([]byte, error) {
	p = p.check()
	n := uint64(len(frame))
	if len(frame) > p.Max || !p.Varint && p.Bytes < 8 && n>>(8*p.Bytes) != 0 {
		return b, fmt.Errorf("%w: %d bytes, where %d are allowed and the length has %d bytes", ErrFrameTooLong, n, p.Max, p.Bytes)
	}
	switch {
	case p.Varint:
		b = binary.AppendUvarint(b, n)
	case p.Bytes == 1:
		b = append(b, byte(n))
	case p.Bytes == 2:
		b = p.order().AppendUint16(b, uint16(n))
	case p.Bytes == 4:
		b = p.order().AppendUint32(b, uint32(n))
	default:
		b = p.order().AppendUint64(b, n)
	}
	return append(b, frame...), nil
}

// LengthPrefixed cuts chunks into frames with their length before them. An end within a frame is io.ErrUnexpectedEOF.
// Frames are borrowed: those within a chunk are not copied. It panics when p makes no sense.
func LengthPrefixed(chunks Stream[[]byte], p Prefix) Stream[[]byte] {
	p = p.check()
	return func(ctx context.Context, yield func([]byte) bool) error {
		var held []byte // the beginning of a frame, prefix included
		stopped := false
		var failed error
		err := chunks(ctx, func(chunk []byte) bool {
			for len(chunk) > 0 {
				in := chunk
				if len(held) > 0 {
					// What is missing, of the prefix first and then of the frame, comes over from the chunk.
					n, size, err := p.parse(held)
					want := len(held) + 1
					if err == nil && size > 0 {
						want = size + int(n)
					}
					take := min(want-len(held), len(chunk))
					held, chunk = append(held, chunk[:take]...), chunk[take:]
					in = held
				}
				n, size, err := p.parse(in)
				if err == nil && size > 0 && n > uint64(p.Max) {
					err = fmt.Errorf("%w: %d bytes, where %d are allowed", ErrFrameTooLong, n, p.Max)
				}
				if err != nil {
					failed = err
					return false
				}
				end := size + int(n)
				if size == 0 || len(in) < end {
					if len(held) == 0 {
						held, chunk = append(held, in...), nil
					}
					continue
				}
				if len(held) == 0 {
					chunk = chunk[end:]
				}
				held = held[:0]
				if !yield(in[size:end:end]) {
					stopped = true
					return false
				}
			}
			return true
		})
		switch {
		case failed != nil:
			return failed
		case err == nil && !stopped && len(held) > 0:
			return io.ErrUnexpectedEOF
		}
		return err
	}
}

// WithLength puts its length before each frame. The results are borrowed.
func WithLength(frames Stream[[]byte], p Prefix) Stream[[]byte] {
	p = p.check()
	return func(ctx context.Context, yield func([]byte) bool) error {
		var buf []byte
		return Try(frames, func(_ context.Context, frame []byte) (_ []byte, err error) {
			buf, err = p.Append(buf[:0], frame)
			return buf, err
		})(ctx, yield)
	}
}

// WithDelimiter puts delim behind each frame. The results are borrowed. A frame that contains delim is cut in two at the
// other end; that is the caller's matter.
func WithDelimiter(frames Stream[[]byte], delim byte) Stream[[]byte] {
	return func(ctx context.Context, yield func([]byte) bool) error {
		var buf []byte
		return frames(ctx, func(frame []byte) bool {
			buf = append(append(buf[:0], frame...), delim)
			return yield(buf)
		})
	}
}

// Own copies each chunk or frame, for consumers that keep it.
func Own(s Stream[[]byte]) Stream[[]byte] { return Map(s, bytes.Clone) }

// Gather puts chunks together: while the consumer is busy with one, what comes is gathered into the next, up to size bytes,
// before the source waits. So small frames written one by one become few large writes, without a delay. A chunk of more
// than size bytes passes alone. The results are borrowed.
func Gather(s Stream[[]byte], size int) Stream[[]byte] {
	if size < 1 {
		panic("stream: Gather of less than a byte")
	}
	return func(ctx context.Context, yield func([]byte) bool) error {
		g := &gatherer{size: size, p: newPipe[struct{}](ctx, 1)}
		var spare []byte
		g.p.start(func(ctx context.Context, put func(struct{}) bool) error {
			return s(ctx, func(chunk []byte) bool { return g.add(chunk, put) })
		})
		return g.p.deliver(func(struct{}) bool {
			more := false
			defer func() {
				if !more { // also when yield panics: the source may wait for room
					g.close()
				}
			}()
			full := g.swap(spare[:0])
			more = yield(full)
			spare = full
			return more
		})
	}
}
