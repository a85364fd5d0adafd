//go:build linux

package reactorfallback

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// fileCall makes the system call of o; it may wait for a disk.
func fileCall(o *op.Op) (int, syscall.Errno) {
	for {
		n, errno := fileOnce(o)
		if errno != syscall.EINTR {
			return max(n, 0), errno
		}
	}
}

func fileOnce(o *op.Op) (n int, errno syscall.Errno) {
	fd := int(o.FD)
	var err error
	switch o.Kind {
	case op.Read:
		p := o.Buf[:min(len(o.Buf), math.MaxInt32)]
		if o.Off < 0 {
			n, err = unix.Read(fd, p)
		} else {
			n, err = unix.Pread(fd, p, o.Off)
		}
	case op.Write:
		p := o.Buf[:min(len(o.Buf), math.MaxInt32)]
		if o.Off < 0 {
			n, err = unix.Write(fd, p)
		} else {
			n, err = unix.Pwrite(fd, p, o.Off)
		}
	case op.Readv:
		return vectors(unix.SYS_PREADV2, fd, o.Buf, o.Off)
	case op.Writev:
		return vectors(unix.SYS_PWRITEV2, fd, o.Buf, o.Off)
	case op.Fsync:
		if o.Events&1 != 0 {
			err = unix.Fdatasync(fd)
		} else {
			err = unix.Fsync(fd)
		}
	}
	return n, errnoOf(err)
}
