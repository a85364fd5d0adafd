//go:build linux

package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// valid is the beginning of every method: f may be nil, and must not be closed. leave is to be called after it.
func (f *File) enter(operation string) error {
	if f == nil {
		return os.ErrInvalid
	}
	if !f.gate.enter() {
		return &fs.PathError{Op: operation, Path: f.std.Name(), Err: os.ErrClosed}
	}
	return nil
}

func (f *File) leave() {
	if f.gate.leave() {
		_ = f.shut()
	}
}

// pathError is err as package os returns it.
func (f *File) pathError(operation string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &fs.PathError{Op: operation, Path: f.std.Name(), Err: err}
}

// Name is the name that f was opened by.
func (f *File) Name() string { return f.std.Name() }

// Read is io.Reader. On a disk file it fills p but at the end of the file.
func (f *File) Read(p []byte) (int, error) {
	if f != nil && f.reads.likely() {
		if n := f.readHot(p, position); n > 0 {
			return n, nil
		}
	}
	return f.ReadContext(context.Background(), p)
}

// ReadContext is Read that ends with ctx's error when ctx ends. Files that are not on a disk heed only a ctx that has
// ended before; use deadlines there.
func (f *File) ReadContext(ctx context.Context, p []byte) (int, error) {
	if err := f.enter("read"); err != nil {
		return 0, err
	}
	defer f.leave()
	if err := ctx.Err(); err != nil {
		return 0, f.pathError("read", context.Cause(ctx))
	}
	if !f.disk {
		return other(f.std.Read, p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	f.seq.lock()
	n, err := f.transfer(ctx, reading, p, position, true)
	f.seq.unlock()
	if err == io.EOF && n > 0 {
		err = nil
	}
	return n, f.pathError("read", err)
}

// ReadAt is io.ReaderAt: it returns less than len(p) only with an error, at the end of the file io.EOF.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if f != nil && off >= 0 && f.reads.likely() {
		if n = f.readHot(p, off); n == len(p) {
			return n, nil
		}
	}
	m, err := f.ReadAtContext(context.Background(), p[n:], off+int64(n))
	return n + m, err
}

var errNegativeOffset = errors.New("negative offset")

// ReadAtContext is ReadAt that ends when ctx ends, as ReadContext.
func (f *File) ReadAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	if err := f.enter("read"); err != nil {
		return 0, err
	}
	defer f.leave()
	if off < 0 {
		return 0, &fs.PathError{Op: "readat", Path: f.Name(), Err: errNegativeOffset}
	}
	if err := ctx.Err(); err != nil {
		return 0, f.pathError("read", context.Cause(ctx))
	}
	if !f.disk {
		return other(func(p []byte) (int, error) { return f.std.ReadAt(p, off) }, p)
	}
	n, err := f.transfer(ctx, reading, p, off, false)
	return n, f.pathError("read", err)
}

// Write is io.Writer.
func (f *File) Write(p []byte) (int, error) { return f.WriteContext(context.Background(), p) }

// WriteContext is Write that ends when ctx ends, as ReadContext; part may have been written then.
func (f *File) WriteContext(ctx context.Context, p []byte) (int, error) {
	if err := f.enter("write"); err != nil {
		return 0, err
	}
	defer f.leave()
	if err := ctx.Err(); err != nil {
		return 0, f.pathError("write", context.Cause(ctx))
	}
	if !f.disk || len(p) == 0 {
		return other(f.std.Write, p)
	}
	f.seq.lock()
	n, err := f.transfer(ctx, writing, p, position, false)
	f.seq.unlock()
	return n, f.pathError("write", err)
}

// WriteString is Write of a string.
func (f *File) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// errAppend is the words of package os, which does not export it.
var errAppend = errors.New("os: invalid use of WriteAt on file opened with O_APPEND")

// WriteAt is io.WriterAt. It is refused on files opened with O_APPEND.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	return f.WriteAtContext(context.Background(), p, off)
}

// WriteAtContext is WriteAt that ends when ctx ends, as WriteContext.
func (f *File) WriteAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	if err := f.enter("write"); err != nil {
		return 0, err
	}
	defer f.leave()
	switch {
	case f.appends:
		return 0, errAppend
	case off < 0:
		return 0, &fs.PathError{Op: "writeat", Path: f.Name(), Err: errNegativeOffset}
	case ctx.Err() != nil:
		return 0, f.pathError("write", context.Cause(ctx))
	case !f.disk:
		return other(func(p []byte) (int, error) { return f.std.WriteAt(p, off) }, p)
	}
	n, err := f.transfer(ctx, writing, p, off, false)
	return n, f.pathError("write", err)
}

// other calls package os for a file that may wait for somebody else.
func other(call func([]byte) (int, error), p []byte) (n int, err error) {
	await(func() { n, err = call(p) })
	return n, err
}

// Seek sets the position of the next Read or Write, as os.File's.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	if err := f.enter("seek"); err != nil {
		return 0, err
	}
	defer f.leave()
	f.seq.lock()
	defer f.seq.unlock()
	return f.seek(offset, whence)
}

// Close closes the file: what has begun goes on, everything later fails with os.ErrClosed. On a pipe or terminal it ends
// whoever waits.
func (f *File) Close() error {
	if f == nil {
		return os.ErrInvalid
	}
	first, empty := f.gate.shut()
	if !first {
		return &fs.PathError{Op: "close", Path: f.Name(), Err: os.ErrClosed}
	}
	f.files.rings.forget(f)
	if empty || !f.disk {
		return f.shut()
	}
	return nil
}

// Fd is os.File.Fd. The descriptor is f's: it is valid until Close.
func (f *File) Fd() uintptr {
	if f == nil {
		return ^uintptr(0)
	}
	return f.std.Fd()
}

// Std returns the os.File below f, for what needs one: exec.Cmd, sendfile in package net. It shares position and
// descriptor with f; close f, not it.
func (f *File) Std() *os.File { return f.std }

// SyscallConn is os.File.SyscallConn.
func (f *File) SyscallConn() (syscall.RawConn, error) {
	if err := f.enter("SyscallConn"); err != nil {
		return nil, err
	}
	defer f.leave()
	return f.std.SyscallConn()
}

// SetDeadline is os.File.SetDeadline: pipes and terminals have deadlines, disk files os.ErrNoDeadline.
func (f *File) SetDeadline(t time.Time) error {
	return f.quick("set deadline", func() error { return f.std.SetDeadline(t) })
}

// SetReadDeadline is os.File.SetReadDeadline.
func (f *File) SetReadDeadline(t time.Time) error {
	return f.quick("set deadline", func() error { return f.std.SetReadDeadline(t) })
}

// SetWriteDeadline is os.File.SetWriteDeadline.
func (f *File) SetWriteDeadline(t time.Time) error {
	return f.quick("set deadline", func() error { return f.std.SetWriteDeadline(t) })
}

// quick makes a call of package os that does not wait.
func (f *File) quick(operation string, call func() error) error {
	if err := f.enter(operation); err != nil {
		return err
	}
	defer f.leave()
	return call()
}
