//go:build linux

package file

import (
	"context"
	"io/fs"
	"math"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/proactor"
)

// call makes a call of package os that may wait for a disk.
func (f *File) call(operation string, call func() error) (err error) {
	if err := f.enter(operation); err != nil {
		return err
	}
	defer f.leave()
	await(func() { err = call() })
	return err
}

// Stat is os.File.Stat.
func (f *File) Stat() (info fs.FileInfo, err error) {
	return info, f.quick("stat", func() (e error) { info, e = f.std.Stat(); return e })
}

// Chmod is os.File.Chmod.
func (f *File) Chmod(mode fs.FileMode) error {
	return f.call("chmod", func() error { return f.std.Chmod(mode) })
}

// Chown is os.File.Chown.
func (f *File) Chown(uid, gid int) error {
	return f.call("chown", func() error { return f.std.Chown(uid, gid) })
}

// Chdir is os.File.Chdir.
func (f *File) Chdir() error { return f.quick("chdir", f.std.Chdir) }

// Truncate is os.File.Truncate.
func (f *File) Truncate(size int64) error {
	return f.call("truncate", func() error { return f.std.Truncate(size) })
}

// ReadDir is os.File.ReadDir.
func (f *File) ReadDir(n int) (entries []fs.DirEntry, err error) {
	return entries, f.call("readdir", func() (e error) { entries, e = f.std.ReadDir(n); return e })
}

// Readdir is os.File.Readdir.
func (f *File) Readdir(n int) (infos []fs.FileInfo, err error) {
	return infos, f.call("readdir", func() (e error) { infos, e = f.std.Readdir(n); return e })
}

// Readdirnames is os.File.Readdirnames.
func (f *File) Readdirnames(n int) (names []string, err error) {
	return names, f.call("readdir", func() (e error) { names, e = f.std.Readdirnames(n); return e })
}

// Sync is fsync(2): it returns when what was written, and the file's metadata, is on the disk.
func (f *File) Sync() error { return f.sync(context.Background(), 0) }

// SyncContext is Sync that ends when ctx ends, if the kernel has not begun it; else it is waited for.
func (f *File) SyncContext(ctx context.Context) error { return f.sync(ctx, 0) }

// Datasync is fdatasync(2): as Sync, but for metadata that reading the data back does not need.
func (f *File) Datasync() error { return f.sync(context.Background(), datasync) }

// DatasyncContext is Datasync that ends when ctx ends, as SyncContext.
func (f *File) DatasyncContext(ctx context.Context) error { return f.sync(ctx, datasync) }

const datasync = 1 // IORING_FSYNC_DATASYNC

func (f *File) sync(ctx context.Context, flags uint32) error {
	if err := f.enter("sync"); err != nil {
		return err
	}
	defer f.leave()
	if ctx.Err() != nil {
		return f.pathError("sync", context.Cause(ctx))
	}
	fs := f.files
	e := fs.engineFor(ctx, true)
	if e == nil || !f.disk {
		return f.pathError("sync", f.syncPlainly(flags))
	}
	fs.stats.engine.Add(1)
	c := proactor.NewCall(1)
	o := &c.Ops[0]
	o.Kind, o.FD, o.Events = op.Fsync, int32(f.fd), flags
	_, errno, err := perform(ctx, e, c)
	switch {
	case err == proactor.ErrShutdown:
		return f.pathError("sync", f.syncPlainly(flags))
	case err == nil && errno != 0:
		err = errno
	}
	return f.pathError("sync", err)
}

func (f *File) syncPlainly(flags uint32) error {
	if f.sim != nil {
		if _, errno := f.sim.Do(op.Fsync, f.fd, nil, 0, false); errno != 0 {
			return errno
		}
		return nil
	}
	for {
		err := unix.Fsync
		if flags == datasync {
			err = unix.Fdatasync
		}
		if e := err(f.fd); e != unix.EINTR {
			return e
		}
	}
}

// Allocate reserves disk space for n bytes from off on, so that writes there cannot fail for want of it; the file grows to
// off+n if it is shorter. fallocate(2); file systems without it answer EOPNOTSUPP.
func (f *File) Allocate(off, n int64) error { return f.allocate(0, off, n) }

// PunchHole gives the disk space of n bytes from off on back; they read as zeroes, and the size stays. fallocate(2).
func (f *File) PunchHole(off, n int64) error {
	return f.allocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}

func (f *File) allocate(mode uint32, off, n int64) error {
	return f.call("fallocate", func() error {
		for {
			if err := unix.Fallocate(f.fd, mode, off, n); err != unix.EINTR {
				return f.pathError("fallocate", err)
			}
		}
	})
}

// Advice tells the kernel how a part of a file will be used.
type Advice int

// The kinds of Advice, see posix_fadvise(2).
const (
	Normal     Advice = unix.FADV_NORMAL
	Random     Advice = unix.FADV_RANDOM     // no read-ahead
	Sequential Advice = unix.FADV_SEQUENTIAL // more read-ahead
	WillNeed   Advice = unix.FADV_WILLNEED   // read it into the page cache now
	DontNeed   Advice = unix.FADV_DONTNEED   // drop it from the page cache, what is written back
	NoReuse    Advice = unix.FADV_NOREUSE
)

// Advise tells the kernel how the n bytes from off on will be used, 0 for all up to the end. posix_fadvise(2).
func (f *File) Advise(off, n int64, advice Advice) error {
	return f.call("fadvise", func() error { return f.pathError("fadvise", unix.Fadvise(f.fd, off, n, int(advice))) })
}

// size is the size of f, for buffers that hold all of it; 0 when it is not known.
func (f *File) size() int {
	info, err := f.Stat()
	if err != nil || info.Size() > math.MaxInt-1 {
		return 0
	}
	return int(info.Size())
}
