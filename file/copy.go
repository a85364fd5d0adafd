//go:build linux

package file

import (
	"io"
	"os"
	"syscall"

	"github.com/ouro-io/ouro/executor"
)

// What io.Copy does with a File. Package os and net know *os.File and move its bytes inside the kernel
// (copy_file_range, splice, sendfile), so ordinary goroutines show them theirs: both share the descriptor and with it the
// position. On coroutines that would hold the worker up, so there bytes are copied, by Read and Write.

// copyBytes is the size of the buffer that is copied through.
const copyBytes = 256 << 10

// withoutReadFrom and withoutWriteTo hide a method, so that io.Copy does not call it again.
type (
	withoutReadFrom struct{ f *File }
	withoutWriteTo  struct{ f *File }
)

func (w withoutReadFrom) Write(p []byte) (int, error) { return w.f.Write(p) }
func (w withoutWriteTo) Read(p []byte) (int, error)   { return w.f.Read(p) }

// SyscallConn and Stat let package net of this module find the file, whose bytes it can move inside the kernel.

func (w withoutWriteTo) SyscallConn() (syscall.RawConn, error) { return w.f.SyscallConn() }
func (w withoutWriteTo) Stat() (os.FileInfo, error)            { return w.f.Stat() }

// ReadFrom writes what r gives, until its end; io.Copy calls it.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	if err := f.enter("write"); err != nil {
		return 0, err
	}
	defer f.leave()
	if executor.Current() != nil {
		return io.CopyBuffer(withoutReadFrom{f}, r, make([]byte, copyBytes))
	}
	inner, after := standard(r)
	defer after()
	return f.std.ReadFrom(inner)
}

// WriteTo writes the file to w, from its position to its end; io.Copy calls it.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	if err := f.enter("read"); err != nil {
		return 0, err
	}
	defer f.leave()
	if executor.Current() != nil {
		if to, ok := w.(*File); ok {
			w = withoutReadFrom{to}
		}
		return io.CopyBuffer(w, withoutWriteTo{f}, make([]byte, copyBytes))
	}
	if to, ok := w.(*File); ok && to != nil {
		if err := to.enter("write"); err != nil {
			return 0, err
		}
		defer to.leave()
		w = to.std
	}
	return f.std.WriteTo(w)
}

// standard shows package os its own type where r is a File, also behind a limit. after is to be called at the end.
func standard(r io.Reader) (inner io.Reader, after func()) {
	switch v := r.(type) {
	case *File:
		if v == nil || !v.gate.enter() {
			break
		}
		return v.std, v.leave
	case withoutWriteTo:
		return v.f.std, func() {}
	case *io.LimitedReader:
		inner, after := standard(v.R)
		if inner == v.R {
			break
		}
		limited := &io.LimitedReader{R: inner, N: v.N}
		return limited, func() { v.N = limited.N; after() }
	}
	return r, func() {}
}

var (
	_ io.ReaderFrom = (*File)(nil)
	_ io.WriterTo   = (*File)(nil)
	_ io.ReaderFrom = (*os.File)(nil)
)
