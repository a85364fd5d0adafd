package proactor

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// endpoints asks for both addresses of a socket, as the peer's is gone once it has reset the connection. Package
// unix would allocate for each.
func endpoints(fd int) (local, peer Addr) {
	return endpoint(unix.SYS_GETSOCKNAME, fd), endpoint(unix.SYS_GETPEERNAME, fd)
}

func endpoint(nr uintptr, fd int) Addr {
	var sa unix.RawSockaddrInet6 // the larger of the two that are understood
	n := uint32(unsafe.Sizeof(sa))
	// SAFETY: the kernel writes at most n bytes to sa, and the length to n; both outlive the call. It does not wait.
	_, _, errno := syscall.RawSyscall(nr, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&n)))
	if errno != 0 {
		return Addr{}
	}
	switch sa.Family {
	case unix.AF_INET:
		// SAFETY: the family says that the memory holds the smaller structure.
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa))
		a := Addr{family: 4, port: networkOrder(in.Port)}
		copy(a.ip[:], in.Addr[:])
		return a
	case unix.AF_INET6:
		return Addr{family: 6, port: networkOrder(sa.Port), zone: sa.Scope_id, ip: sa.Addr}
	}
	return Addr{}
}

func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], v)
	return binary.BigEndian.Uint16(b[:])
}
