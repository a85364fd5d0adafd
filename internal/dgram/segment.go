//go:build linux

package dgram

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	// SegmentBytes is the room for what PutSegment writes.
	SegmentBytes = 24
	// MaxSegments is how many datagrams the kernel makes of one send at most (UDP_MAX_SEGMENTS of the kernels before
	// 6.9; later ones take 128).
	MaxSegments = 64
	// MaxPayload is the most that one send, or one UDP datagram over IPv4, can carry.
	MaxPayload = 65507
)

// segmentData is where the data of a control message begins, which differs by the size of a pointer.
var segmentData = unix.CmsgLen(0)

// PutSegment writes to b the control message that makes the kernel cut a send into datagrams of size bytes each, the last
// one possibly shorter (UDP_SEGMENT, udp(7)). It returns its length.
func PutSegment(b []byte, size int) int {
	n := unix.CmsgSpace(2)
	clear(b[:n])
	putCmsgHeader(b, unix.CmsgLen(2), unix.SOL_UDP, unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(b[segmentData:], uint16(size))
	return n
}

// Segment finds in control data the size of the datagrams that the kernel has joined into one (UDP_GRO); 0 when it has
// not.
func Segment(control []byte) int {
	for len(control) >= unix.CmsgLen(0) {
		n, level, typ := cmsgHeader(control)
		if n < unix.CmsgLen(0) || n > len(control) {
			return 0
		}
		if level == unix.SOL_UDP && typ == unix.UDP_GRO && n >= unix.CmsgLen(4) {
			return int(binary.NativeEndian.Uint32(control[segmentData:]))
		}
		control = control[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(control)):]
	}
	return 0
}

// CopyControl copies the control messages of src to dst, but for the one that Segment reads, which means nothing once
// the datagrams are apart. whole is false when they do not all fit; those that do not are left out.
func CopyControl(dst, src []byte) (n int, whole bool) {
	for len(src) >= unix.CmsgLen(0) {
		length, level, typ := cmsgHeader(src)
		if length < unix.CmsgLen(0) || length > len(src) {
			break
		}
		space := min(unix.CmsgSpace(length-unix.CmsgLen(0)), len(src))
		if level != unix.SOL_UDP || typ != unix.UDP_GRO {
			if space > len(dst)-n {
				return n, false
			}
			n += copy(dst[n:], src[:space])
		}
		src = src[space:]
	}
	return n, true
}

// The header is a length as wide as a pointer, a level and a type.

func putCmsgHeader(b []byte, n int, level, typ int32) {
	at := segmentData - 8
	if at == 8 {
		binary.NativeEndian.PutUint64(b, uint64(n))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(n))
	}
	binary.NativeEndian.PutUint32(b[at:], uint32(level))
	binary.NativeEndian.PutUint32(b[at+4:], uint32(typ))
}

func cmsgHeader(b []byte) (n int, level, typ int32) {
	at := segmentData - 8
	if at == 8 {
		n = int(binary.NativeEndian.Uint64(b))
	} else {
		n = int(binary.NativeEndian.Uint32(b))
	}
	return n, int32(binary.NativeEndian.Uint32(b[at:])), int32(binary.NativeEndian.Uint32(b[at+4:]))
}
