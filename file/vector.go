//go:build linux

package file

import (
	"context"
	"io"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/proactor"
)

// maxVectors is what one system call takes, UIO_MAXIOV.
const maxVectors = 1024

// ReadvAt reads into the slices of ps, one after the other, in as few operations as possible; else as ReadAt.
func (f *File) ReadvAt(ps [][]byte, off int64) (int64, error) {
	return f.vectors(context.Background(), reading, "read", ps, off)
}

// WritevAt writes the slices of ps, one after the other, in as few operations as possible; else as WriteAt.
func (f *File) WritevAt(ps [][]byte, off int64) (int64, error) {
	return f.vectors(context.Background(), writing, "write", ps, off)
}

// ReadvAtContext is ReadvAt that ends when ctx ends, as ReadContext.
func (f *File) ReadvAtContext(ctx context.Context, ps [][]byte, off int64) (int64, error) {
	return f.vectors(ctx, reading, "read", ps, off)
}

// WritevAtContext is WritevAt that ends when ctx ends, as WriteContext.
func (f *File) WritevAtContext(ctx context.Context, ps [][]byte, off int64) (int64, error) {
	return f.vectors(ctx, writing, "write", ps, off)
}

func (f *File) vectors(ctx context.Context, d *direction, name string, ps [][]byte, off int64) (total int64, err error) {
	if err := f.enter(name); err != nil {
		return 0, err
	}
	defer f.leave()
	switch {
	case d == writing && f.appends:
		return 0, errAppend
	case off < 0:
		return 0, &fs.PathError{Op: name + "at", Path: f.Name(), Err: errNegativeOffset}
	case ctx.Err() != nil:
		return 0, f.pathError(name, context.Cause(ctx))
	}
	for vs := iovecs(ps); len(vs) > 0; {
		n, errno, err := f.vectorOnce(ctx, d, vs[:min(len(vs), maxVectors)], off)
		switch {
		case err != nil:
			return total, f.pathError(name, err)
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			return total, f.pathError(name, errno)
		case n == 0 && d == reading, d == reading && f.direct && n%sector != 0:
			return total + int64(n), io.EOF
		case n == 0:
			return total, f.pathError(name, io.ErrUnexpectedEOF)
		}
		total, off = total+int64(n), off+int64(n)
		vs = advance(vs, n)
	}
	return total, nil
}

// vectorOnce goes the ways of File.once: page cache, system call, engine.
func (f *File) vectorOnce(ctx context.Context, d *direction, vs []unix.Iovec, off int64) (int, syscall.Errno, error) {
	stats := &f.files.stats
	h := f.hint(d)
	if h.worthwhile() {
		n, errno := f.vector(d, vs, off, unix.RWF_NOWAIT)
		switch errno {
		case 0:
			stats.cached.add(nil)
			h.hit()
			return n, 0, nil
		case syscall.EAGAIN:
			stats.missed.Add(1)
			h.missed()
		case syscall.EOPNOTSUPP:
			h.never()
		default:
			return 0, errno, nil
		}
	}
	fs := f.files
	alone := fs.waiting.Add(1) <= plainUpTo
	defer fs.waiting.Add(-1)
	plain := func() (int, syscall.Errno) { return f.vector(d, vs, off, 0) }
	e := fs.engineFor(ctx, alone)
	if e == nil {
		return f.plainly(ctx, nil, plain)
	}
	stats.engine.Add(1)
	c := proactor.NewCall(1)
	o := &c.Ops[0]
	o.Kind, o.FD, o.Buf, o.Off = d.vector, int32(f.fd), iovecBytes(vs), off
	n, errno, err := perform(ctx, e, c)
	if err == proactor.ErrShutdown || errno == syscall.EAGAIN {
		return f.plainly(ctx, nil, plain)
	}
	return n, errno, err
}

// advance takes the first n bytes off vs.
func advance(vs []unix.Iovec, n int) []unix.Iovec {
	for len(vs) > 0 && uint64(n) >= uint64(vs[0].Len) {
		n -= int(vs[0].Len)
		vs = vs[1:]
	}
	if n > 0 {
		cut(&vs[0], n)
	}
	return vs
}
