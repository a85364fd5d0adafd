//go:build linux

package proactor

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// endpoint makes getsockname or getpeername. Package unix would allocate.
func endpoint(nr uintptr, fd int) op.Endpoint {
	var sa unix.RawSockaddrInet6 // the larger of the two that are understood
	n := uint32(unsafe.Sizeof(sa))
	// SAFETY: the kernel writes at most n bytes to sa, and the length to n; both outlive the call. It does not wait.
	_, _, errno := syscall.RawSyscall(nr, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&n)))
	if errno != 0 {
		return op.Endpoint{}
	}
	switch sa.Family {
	case unix.AF_INET:
		// SAFETY: the family says that the memory holds the smaller structure.
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa))
		a := op.Endpoint{Family: 4, Port: networkOrder(in.Port)}
		copy(a.IP[:], in.Addr[:])
		return a
	case unix.AF_INET6:
		return op.Endpoint{Family: 6, Port: networkOrder(sa.Port), Zone: sa.Scope_id, IP: sa.Addr}
	}
	return op.Endpoint{}
}

func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], v)
	return binary.BigEndian.Uint16(b[:])
}
