package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// seqBits is how much of a message's header is its sequence number; the connection's number is above.
const seqBits = 40

// messages builds and checks the messages of all connections: 8 bytes of header, then filler that is the same in each.
type messages struct {
	size   int
	filler []byte
}

func newMessages(size int) *messages {
	m := &messages{size: size, filler: make([]byte, size-8)}
	// A period of 251 shifts against every power of two, so that a block in the wrong place shows.
	for i := range m.filler {
		m.filler[i] = byte(i % 251)
	}
	return m
}

func header(conn int, seq uint64) uint64 { return uint64(conn)<<seqBits | seq&(1<<seqBits-1) }

// codec makes requests and checks what comes back. A codec is for one loop.
type codec interface {
	// append adds request seq of a connection to b.
	append(b []byte, conn int, seq uint64) []byte
	// next returns the length of the answer to request seq at the beginning of b: 0 when it is not whole yet, an
	// error when it is not what it should be.
	next(b []byte, conn int, seq uint64) (int, error)
}

func (m *messages) append(b []byte, conn int, seq uint64) []byte {
	b = binary.LittleEndian.AppendUint64(b, header(conn, seq))
	return append(b, m.filler...)
}

func (m *messages) next(b []byte, conn int, seq uint64) (int, error) {
	if len(b) < m.size {
		return 0, nil
	}
	return m.size, m.check(b, conn, seq)
}

// check compares one whole message.
func (m *messages) check(b []byte, conn int, seq uint64) error {
	if got, want := binary.LittleEndian.Uint64(b), header(conn, seq); got != want {
		return fmt.Errorf("connection %d got message %#x in place of %#x", conn, got, want)
	}
	if !bytes.Equal(b[8:m.size], m.filler) {
		return fmt.Errorf("connection %d: message %d came back altered", conn, seq)
	}
	return nil
}
