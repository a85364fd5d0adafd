//go:build linux

package file

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// quickBytes is the size up to which a transfer from or to the page cache is so short that telling the Go scheduler of
// the system call costs more than it can gain.
const quickBytes = 64 << 10

// nowait is preadv2(2) or pwritev2(2) of p with RWF_NOWAIT. An off of -1 is the file's position.
func nowait(nr uintptr, fd int, p []byte, off int64) (int, syscall.Errno) {
	var v unix.Iovec
	v.Base = unsafe.SliceData(p) // SAFETY: no arithmetic; v keeps p's array alive.
	v.SetLen(len(p))
	var n uintptr
	var errno syscall.Errno
	// SAFETY: the pointer to v is converted in the call, which keeps v, and through it p, in place. The offset is two
	// halves of which the kernel of a 64-bit system takes the first as the whole.
	if len(p) <= quickBytes {
		n, _, errno = syscall.RawSyscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(&v)), 1, uintptr(off), uintptr(off>>32), unix.RWF_NOWAIT)
	} else {
		n, _, errno = syscall.Syscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(&v)), 1, uintptr(off), uintptr(off>>32), unix.RWF_NOWAIT)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// vectors is preadv2(2) or pwritev2(2) of ps, which may wait.
func vectors(nr uintptr, fd int, vs []unix.Iovec, off int64, flags uintptr) (int, syscall.Errno) {
	// SAFETY: converted in the call; vs keeps what it points to alive.
	n, _, errno := syscall.Syscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(vs))), uintptr(len(vs)),
		uintptr(off), uintptr(off>>32), flags)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// iovecs describes ps to the kernel.
func iovecs(ps [][]byte) []unix.Iovec {
	vs := make([]unix.Iovec, 0, len(ps))
	for _, p := range ps {
		if len(p) > 0 {
			v := unix.Iovec{Base: unsafe.SliceData(p)} // SAFETY: the first byte of p, which v keeps alive.
			v.SetLen(len(p))
			vs = append(vs, v)
		}
	}
	return vs
}

// iovecBytes is vs as op.Readv and op.Writev take it.
func iovecBytes(vs []unix.Iovec) []byte {
	// SAFETY: the same array as bytes; the collector goes by its allocation and still sees the pointers in it.
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(vs))), len(vs)*int(unsafe.Sizeof(unix.Iovec{})))
}

// cut takes the first n bytes, fewer than there are, off v.
func cut(v *unix.Iovec, n int) {
	// SAFETY: n is less than v.Len, so the result points into the same array.
	v.Base = (*byte)(unsafe.Add(unsafe.Pointer(v.Base), n))
	v.SetLen(int(v.Len) - n)
}

// page is a number that memory of different owners mostly has different ones of.
func page(p []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(p))) >> 12 // SAFETY: a number only; never a pointer again.
}
