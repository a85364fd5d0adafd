//go:build linux

package file

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/op"
)

// File is an open file. Its methods are os.File's, and safe from any goroutine or coroutine.
//
// Owners. std owns the descriptor. fd is its number, used only inside the gate; whoever leaves a shut gate last closes std.
// Transfers at the file's position hold seq, as the kernel does not order those of a ring. Files that are not on a disk
// are std's altogether.
type File struct {
	std     *os.File
	files   *Files
	fd      int
	disk    bool    // a regular file or a block device
	direct  bool    // opened with O_DIRECT
	appends bool    // opened with O_APPEND
	sim     op.Disk // instead of the kernel, nil but in tests

	gate          gate
	seq           turn
	reads, writes hint
}

// Open opens a file for reading, as os.Open.
func Open(name string) (*File, error) { return Default().Open(name) }

// Create creates or truncates a file, as os.Create.
func Create(name string) (*File, error) { return Default().Create(name) }

// OpenFile is os.OpenFile. With DirectIO, offsets, lengths and memory must be aligned as the disk wants it: 4 KiB always
// does, and Lease lends such memory.
func OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	return Default().OpenFile(name, flag, perm)
}

// DirectIO is the flag of OpenFile that leaves the page cache out, O_DIRECT of open(2).
const DirectIO = syscall.O_DIRECT

// Open is the function Open.
func (fs *Files) Open(name string) (*File, error) { return fs.OpenFile(name, os.O_RDONLY, 0) }

// Create is the function Create.
func (fs *Files) Create(name string) (*File, error) {
	return fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile is the function OpenFile.
func (fs *Files) OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	var std *os.File
	var err error
	await(func() { std, err = os.OpenFile(name, flag, perm) })
	if err != nil {
		return nil, err
	}
	return fs.Wrap(std), nil
}

// Wrap makes a File of f, which must not be used any more but through it: Close closes f.
func Wrap(f *os.File) *File { return Default().Wrap(f) }

// Wrap is the function Wrap.
func (fs *Files) Wrap(std *os.File) *File {
	f := &File{std: std, files: fs, fd: -1}
	raw, err := std.SyscallConn()
	if err != nil {
		return f // closed, which its own methods tell
	}
	_ = raw.Control(func(fd uintptr) {
		f.fd = int(fd)
		f.learn()
	})
	return f
}

// learn asks the kernel what kind of file f is.
func (f *File) learn() {
	var st unix.Stat_t
	if unix.Fstat(f.fd, &st) != nil {
		return
	}
	f.disk = st.Mode&unix.S_IFMT == unix.S_IFREG || st.Mode&unix.S_IFMT == unix.S_IFBLK
	flags, err := unix.FcntlInt(uintptr(f.fd), unix.F_GETFL, 0)
	if err != nil || !f.disk {
		return
	}
	f.flags(flags)
}

// flags takes note of the flags of open(2).
func (f *File) flags(flags int) {
	f.direct = flags&unix.O_DIRECT != 0
	f.appends = flags&unix.O_APPEND != 0
	if f.direct {
		f.reads.never()
	}
	if flags&(unix.O_DIRECT|unix.O_DSYNC) != 0 { // O_SYNC has O_DSYNC's bit
		f.writes.never()
	}
}

func (f *File) hint(d *direction) *hint {
	if d == reading {
		return &f.reads
	}
	return &f.writes
}

// await runs f, which may wait. A coroutine is suspended meanwhile, and f runs on a goroutine of its own.
func await(f func()) {
	if executor.Current() == nil {
		f()
		return
	}
	var w executor.Waiter
	w.Prepare()
	go func() {
		defer w.Wake()
		f()
	}()
	w.Wait()
}
