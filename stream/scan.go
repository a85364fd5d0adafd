package stream

import (
	"context"
	"crypto/subtle"
	"hash"
)

// XOR combines the bytes of the chunks with key, over and over, in place: the masking of WebSocket (RFC 6455, 5.3) for
// example. The chunks must be the stream's to change, as those of Read are. Each run begins with the key's first byte. An
// empty key changes nothing.
func XOR(chunks Stream[[]byte], key []byte) Stream[[]byte] {
	if len(key) == 0 {
		return chunks
	}
	// Repeated, so that one call of the vectorised function covers many repetitions.
	long := make([]byte, 0, len(key)*(1+2048/len(key)))
	for len(long) < cap(long) {
		long = append(long, key...)
	}
	return func(ctx context.Context, yield func([]byte) bool) error {
		at := 0 // in key
		return chunks(ctx, func(chunk []byte) bool {
			for rest := chunk; len(rest) > 0; {
				n := subtle.XORBytes(rest, rest, long[at:])
				rest = rest[n:]
				at = (at + n) % len(key)
			}
			return yield(chunk)
		})
	}
}

// Sum adds the bytes of the chunks to h on their way: a checksum as of hash/crc32, say. Nobody else may use h meanwhile.
func Sum(chunks Stream[[]byte], h hash.Hash) Stream[[]byte] {
	return chunks.Tap(func(chunk []byte) { _, _ = h.Write(chunk) })
}
