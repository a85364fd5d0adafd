//go:build linux

package file

import (
	"context"
	"io"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/proactor"
)

// The way of a transfer. Three ways lead to the kernel, and each file remembers what it has learnt:
//
//	cache   preadv2 or pwritev2 with RWF_NOWAIT, in the caller; not for O_DIRECT and O_SYNC (which would wait in spite of
//	        it), not where the file system does not know it, and seldom where it brought nothing the last times
//	plain   the ordinary system call, in a goroutine: when no other operation of fs waits, or without a ring
//	engine  an operation of a worker: always on coroutines, and when a context can end it
//
// A transfer that the cache served in part goes on behind that part. pread(2) moves no more than this at a time, and the
// results of operations are 32 bits wide.
const maxTransfer = 1 << 30

// direction has what differs between reading and writing.
type direction struct {
	kind, vector op.Kind
	nowait       uintptr
	plain        func(fd int, p []byte, off int64) (int, syscall.Errno)
}

var (
	reading = &direction{op.Read, op.Readv, unix.SYS_PREADV2, func(fd int, p []byte, off int64) (int, syscall.Errno) {
		if off < 0 {
			return counted(syscall.Read(fd, p))
		}
		return counted(syscall.Pread(fd, p, off))
	}}
	writing = &direction{op.Write, op.Writev, unix.SYS_PWRITEV2, func(fd int, p []byte, off int64) (int, syscall.Errno) {
		if off < 0 {
			return counted(syscall.Write(fd, p))
		}
		return counted(syscall.Pwrite(fd, p, off))
	}}
)

// position stands for the file's own position instead of an offset.
const position = -1

// transfer moves all of p, at off or at the file's position. It returns less than len(p) only with an error: io.EOF (bare
// and also when something was read), a bare errno, or what the context ended with. With atOnce a short read is not
// gone on with, as a Read may return one.
func (f *File) transfer(ctx context.Context, d *direction, p []byte, off int64, atOnce bool) (n int, err error) {
	for n < len(p) {
		q := p[n:min(len(p), n+maxTransfer)]
		m, cached, errno, err := f.once(ctx, d, q, off)
		switch {
		case err != nil:
			return n, err
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			return n, errno
		case m == 0 && d == writing:
			return n, io.ErrUnexpectedEOF
		case m == 0:
			return n, io.EOF
		}
		n += m
		if off != position {
			off += int64(m)
		}
		if n == len(p) {
			break
		}
		if d == reading && f.direct && m%sector != 0 {
			return n, io.EOF // only the file's end is not aligned, and a read behind it would be refused
		}
		if atOnce && !cached {
			break
		}
	}
	return n, nil
}

// readHot is the short way of a read that the page cache surely serves: it returns what it got, 0 where it is not the way.
// It must not cost more than package os.
func (f *File) readHot(p []byte, off int64) int {
	if f.sim != nil || !f.gate.enter() {
		return 0
	}
	n := 0
	if len(p) <= maxTransfer && f.reads.hot(f.gate.users()) && executor.Current() == nil {
		f.files.stats.plain.add(p)
		// An error shows itself again.
		if off != position {
			n, _ = syscall.Pread(f.fd, p, off)
		} else {
			f.seq.lock()
			n, _ = syscall.Read(f.fd, p)
			f.seq.unlock()
		}
	}
	f.leave()
	return max(n, 0)
}

// sector is the least alignment that O_DIRECT may have.
const sector = 512

// once makes one attempt; cached tells that a short one may go on.
func (f *File) once(ctx context.Context, d *direction, p []byte, off int64) (n int, cached bool, errno syscall.Errno, err error) {
	h := f.hint(d)
	if h.worthwhile() {
		n, errno = f.nowait(d, p, off)
		switch {
		case errno == 0:
			if n == len(p) || n == 0 {
				f.files.stats.cached.add(p)
			}
			h.hit()
			return n, true, 0, nil
		case errno == syscall.EAGAIN:
			f.files.stats.missed.Add(1)
			h.missed()
		case errno == syscall.EOPNOTSUPP || errno == syscall.EINVAL || errno == syscall.ENOSYS:
			h.never() // EINVAL: said again by the system call that follows, if it is about the arguments
		default:
			return 0, false, errno, nil
		}
	}
	n, errno, err = f.wait(ctx, d, p, off)
	return n, false, errno, err
}

// wait makes a transfer that may wait for the disk.
func (f *File) wait(ctx context.Context, d *direction, p []byte, off int64) (int, syscall.Errno, error) {
	fs := f.files
	alone := fs.waiting.Add(1) <= plainUpTo
	defer fs.waiting.Add(-1)
	e := fs.engineFor(ctx, alone)
	if e == nil && alone && ctx.Done() == nil && executor.Current() == nil {
		fs.stats.plain.add(p) // without counting the slots: it is one
		n, errno := f.plain(d, p, off)
		return n, errno, nil
	}
	if e == nil {
		return f.plainly(ctx, p, func() (int, syscall.Errno) { return f.plain(d, p, off) })
	}
	fs.stats.engine.Add(1)
	c := proactor.NewCall(1)
	o := &c.Ops[0]
	o.Kind, o.FD, o.Buf, o.Off = d.kind, int32(f.fd), p, off
	was, lost := int64(0), error(nil)
	if off == position {
		was, lost = f.seek(0, io.SeekCurrent)
	}
	n, errno, err := perform(ctx, e, c)
	if off == position && lost == nil && 0 < n && n < len(p) && !(d == writing && f.appends) {
		// io_uring goes on by itself with what came short. Where that fails (a full disk, RLIMIT_FSIZE) it tells of what was done
		// before, and leaves the position where it had been: the rest would go over that.
		_, _ = f.seek(was+int64(n), io.SeekStart)
	}
	if err == proactor.ErrShutdown || errno == syscall.EAGAIN {
		// EAGAIN (of a descriptor with O_NONBLOCK, say) is no answer to who waits; an ordinary system call waits.
		return f.plainly(ctx, p, func() (int, syscall.Errno) { return f.plain(d, p, off) })
	}
	return n, errno, err
}

// engineFor is the engine for an operation that waits, nil when it is to be an ordinary system call. On a coroutine it is
// the coroutine's own.
func (fs *Files) engineFor(ctx context.Context, alone bool) *proactor.Engine {
	if e := proactor.EngineOf(executor.Current()); e != nil {
		return e
	}
	if alone && ctx.Done() == nil || !fs.hasRing() {
		return nil
	}
	return fs.engine
}

// perform has e do the one operation of c, and frees c.
func perform(ctx context.Context, e *proactor.Engine, c *proactor.Call) (int, syscall.Errno, error) {
	if err := e.Do(ctx, c); err != nil {
		if err == proactor.ErrShutdown {
			c.Free()
		}
		return 0, 0, err // after ErrBroken c stays the engine's
	}
	r := c.Results[0]
	c.Free()
	if (r.Errno == syscall.ECANCELED || r.Errno == syscall.EINTR) && ctx.Err() != nil {
		// EINTR: what is to be cancelled is not tried again.
		return 0, 0, context.Cause(ctx)
	}
	return int(r.N), r.Errno, nil
}

// plainUpTo is the number of operations waiting at which a goroutine still makes the ordinary system call: itself only.
const plainUpTo = 1

// hasRing reports whether goroutines have a ring to send operations to.
func (fs *Files) hasRing() bool {
	fs.start()
	return fs.ring && !fs.closed.Load()
}

// plainly makes the ordinary system call in the calling goroutine. Without a ring their number is bounded.
func (f *File) plainly(ctx context.Context, p []byte, call func() (int, syscall.Errno)) (int, syscall.Errno, error) {
	fs := f.files
	if ctx.Err() != nil {
		return 0, 0, context.Cause(ctx)
	}
	if !fs.hasRing() {
		select {
		case fs.slots <- struct{}{}:
			defer func() { <-fs.slots }()
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		}
	}
	fs.stats.plain.add(p)
	var n int
	var errno syscall.Errno
	f.await(func() { n, errno = call() })
	return n, errno, nil
}

// counted is the result of a function of package syscall.
func counted(n int, err error) (int, syscall.Errno) {
	if err == nil {
		return n, 0
	}
	if errno, ok := err.(syscall.Errno); ok {
		return 0, errno
	}
	return 0, syscall.EIO
}
