//go:build linux

package file

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// Simulated makes a File of the descriptor fd of d instead of the kernel. std gives it a name, and is closed with it; flags
// are those of open(2) that count: O_DIRECT, O_APPEND. It is for this module's own tests: d's type is internal. What
// package os does for a File (Stat, Truncate and their like) is done to std.
func (fs *Files) Simulated(std *os.File, fd int, d op.Disk, flags int) *File {
	f := &File{std: std, files: fs, fd: fd, disk: true, sim: d}
	f.flags(flags)
	return f
}

// The system calls that a File makes itself.

func (f *File) nowait(d *direction, p []byte, off int64) (int, syscall.Errno) {
	if f.sim != nil {
		return f.sim.Do(d.kind, f.fd, p, off, true)
	}
	return nowait(d.nowait, f.fd, p, off)
}

func (f *File) plain(d *direction, p []byte, off int64) (int, syscall.Errno) {
	if f.sim != nil {
		return f.sim.Do(d.kind, f.fd, p, off, false)
	}
	return d.plain(f.fd, p, off)
}

func (f *File) vector(d *direction, vs []unix.Iovec, off int64, flags uintptr) (int, syscall.Errno) {
	if f.sim != nil {
		return f.sim.Do(d.vector, f.fd, iovecBytes(vs), off, flags != 0)
	}
	return vectors(d.nowait, f.fd, vs, off, flags)
}

func (f *File) seek(offset int64, whence int) (int64, error) {
	if f.sim == nil {
		return f.std.Seek(offset, whence)
	}
	n, errno := f.sim.Seek(f.fd, offset, whence)
	if errno != 0 {
		return 0, f.pathError("seek", errno)
	}
	return n, nil
}

func (f *File) shut() error {
	if f.sim != nil {
		f.sim.Shut(f.fd)
	}
	return f.std.Close()
}

// await is the function await; a simulation has one goroutine at a time act.
func (f *File) await(call func()) {
	if f.sim != nil {
		call()
		return
	}
	await(call)
}
