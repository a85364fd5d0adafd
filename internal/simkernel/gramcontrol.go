//go:build linux

package simkernel

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

func addrPort(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// segmentOf is what the control messages of h say of cutting it apart (UDP_SEGMENT), 0 for nothing.
func segmentOf(h *unix.Msghdr) int {
	ms, err := unix.ParseSocketControlMessage(controlOf(h))
	if err != nil {
		return 0
	}
	for _, m := range ms {
		if m.Header.Level == unix.SOL_UDP && m.Header.Type == unix.UDP_SEGMENT && len(m.Data) >= 2 {
			return int(binary.NativeEndian.Uint16(m.Data))
		}
	}
	return 0
}

// joinedControl is the control message of datagrams that were joined (UDP_GRO), nothing for 0.
func joinedControl(each int) []byte {
	if each == 0 {
		return nil
	}
	b := make([]byte, unix.CmsgSpace(4))
	if at := unix.CmsgLen(0) - 8; at == 8 { // the length is as wide as a pointer
		binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(4)))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(unix.CmsgLen(4)))
	}
	binary.NativeEndian.PutUint32(b[unix.CmsgLen(0)-8:], unix.SOL_UDP)
	binary.NativeEndian.PutUint32(b[unix.CmsgLen(0)-4:], unix.UDP_GRO)
	binary.NativeEndian.PutUint32(b[unix.CmsgLen(0):], uint32(each))
	return b
}
