package protocol

import (
	"encoding/binary"
	"io"
	"time"
)

// Buffer sizes that every server which has a buffer per connection uses.
const (
	echoBuffer = 4 << 10
	bulkBuffer = 64 << 10
)

// BlockTime is how long a blocking message takes: a fast database, say.
const BlockTime = time.Millisecond

// Blocks reports whether message m is one of those, one in eight, whose handler blocks. Messages begin with their
// number, in little endian order.
func Blocks(m []byte) bool { return len(m) > 0 && m[0]&7 == 0 }

// burnRounds makes Burn take about 20 µs on a CPU of 2023.
const burnRounds = 20_000

// Burn is a request's work: it depends on the message and on nothing else, and touches no memory. The result is written
// over the message's last byte when that keeps it as it was, so that the compiler cannot leave the work out.
func Burn(m []byte) {
	if len(m) < 8 {
		return
	}
	x := binary.LittleEndian.Uint64(m) | 1
	for range burnRounds {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	if x == 0 { // never: xorshift has no zero after a non-zero
		m[len(m)-1]++
	}
}

// Handle does what role asks of a server with blocking reads and writes, until c ends. It is the straight-line handler
// that all contestants with such a face share.
func (s *Server) Handle(c io.ReadWriter) {
	switch s.Role {
	case Work:
		s.eachMessage(c, Burn)
	case Block:
		s.eachMessage(c, func(m []byte) {
			if Blocks(m) {
				time.Sleep(BlockTime)
			}
		})
	default:
		copyBack(c, s.Role == Sink, s.BufferSize())
	}
}

// BufferSize is the size of a connection's buffer.
func (s *Server) BufferSize() int {
	if s.Role == Sink || s.Size > echoBuffer {
		return bulkBuffer
	}
	return echoBuffer
}

func copyBack(c io.ReadWriter, sink bool, size int) {
	buf := make([]byte, size)
	for {
		n, err := c.Read(buf)
		if n > 0 && !sink {
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// eachMessage echoes whole messages after before was called with each.
func (s *Server) eachMessage(c io.ReadWriter, before func([]byte)) {
	m := make([]byte, s.Size)
	for {
		if _, err := io.ReadFull(c, m); err != nil {
			return
		}
		before(m)
		if _, err := c.Write(m); err != nil {
			return
		}
	}
}

// Message does to m, which holds whole messages, what Work and Block ask for: for callbacks, which are handed what has
// arrived. With one message in flight, and messages that fit into a segment, that is one message.
func (s *Server) Message(m []byte) {
	for len(m) >= s.Size {
		switch s.Role {
		case Work:
			Burn(m[:s.Size])
		case Block:
			if Blocks(m) {
				time.Sleep(BlockTime)
			}
		}
		m = m[s.Size:]
	}
}
