//go:build linux

package file

import (
	"context"
	"io"
	"io/fs"
	"syscall"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// IO is one transfer of a batch.
type IO struct {
	// P is the memory that is read into or written from, Off where in the file.
	P   []byte
	Off int64
	// N is how many bytes were transferred, and Err why it is less than len(P): as ReadAt and WriteAt return them.
	N   int
	Err error
}

// ReadBatch makes the reads of ios, in any order, and returns when all have ended. Those that wait for the disk are
// submitted in one system call. It returns the first error in the order of ios (io.EOF where the file ends) or nil; N and
// Err of each tell the rest.
func (f *File) ReadBatch(ios []IO) error {
	return f.batch(context.Background(), reading, "read", ios)
}

// ReadBatchContext is ReadBatch that ends when ctx ends, as ReadContext: reads that had not ended then have ctx's error.
func (f *File) ReadBatchContext(ctx context.Context, ios []IO) error {
	return f.batch(ctx, reading, "read", ios)
}

// WriteBatch is ReadBatch for writes. They should not overlap: their order is not defined.
func (f *File) WriteBatch(ios []IO) error {
	return f.batch(context.Background(), writing, "write", ios)
}

// WriteBatchContext is WriteBatch that ends when ctx ends, as ReadBatchContext.
func (f *File) WriteBatchContext(ctx context.Context, ios []IO) error {
	return f.batch(ctx, writing, "write", ios)
}

func (f *File) batch(ctx context.Context, d *direction, name string, ios []IO) error {
	if err := f.enter(name); err != nil {
		return refuse(ios, err)
	}
	defer f.leave()
	if d == writing && f.appends {
		return refuse(ios, errAppend)
	}
	left, ended := 0, ctx.Err() != nil
	for i := range ios {
		b := &ios[i]
		b.N, b.Err = 0, nil
		switch {
		case b.Off < 0:
			b.Err = &fs.PathError{Op: name + "at", Path: f.Name(), Err: errNegativeOffset}
		case ended: // also what the page cache would have
			b.Err = context.Cause(ctx)
		}
	}
	alone := f.batchAlone(ctx, d, ios)
	for i := range ios {
		if b := &ios[i]; b.unfinished() && (alone || !f.disk || !f.fromCache(d, b)) {
			left++
		}
	}
	if left > 0 {
		f.batchRest(ctx, d, ios, left)
	}
	for i := range ios {
		if b := &ios[i]; b.Err != nil {
			if b.Err != io.EOF {
				if _, ok := b.Err.(*fs.PathError); !ok {
					b.Err = f.pathError(name, b.Err)
				}
			}
		}
	}
	for i := range ios {
		if ios[i].Err != nil {
			return ios[i].Err
		}
	}
	return nil
}

// refuse says err of each of ios, which may have the results of an earlier call.
func refuse(ios []IO, err error) error {
	for i := range ios {
		ios[i].N, ios[i].Err = 0, err
	}
	return err
}

// fromCache reports whether the page cache did all of b.
func (f *File) fromCache(d *direction, b *IO) bool {
	h := f.hint(d)
	if !h.worthwhile() {
		return false
	}
	n, errno := f.nowait(d, b.P[:min(len(b.P), maxTransfer)], b.Off)
	switch errno {
	case 0:
		h.hit()
		b.N = n
		if n == len(b.P) {
			f.files.stats.cached.add(b.P)
			return true
		}
		return false
	case syscall.EAGAIN:
		f.files.stats.missed.Add(1)
		h.missed()
	case syscall.EOPNOTSUPP:
		h.never()
	}
	return false
}

// unfinished reports whether something of b is left to do.
func (b *IO) unfinished() bool { return b.Err == nil && b.N < len(b.P) }

// batchRest does what the page cache did not, left transfers, in one set of operations; what that leaves short is finished
// one by one.
func (f *File) batchRest(ctx context.Context, d *direction, ios []IO, left int) {
	fs := f.files
	e := fs.engineFor(ctx, false)
	if e == nil && !fs.closed.Load() {
		e = fs.engine // without a ring its goroutines make the calls side by side
	}
	if e != nil && f.disk && ctx.Err() == nil {
		fs.waiting.Add(int32(left))
		f.batchOn(ctx, e, d, ios, left)
		fs.waiting.Add(-int32(left))
	}
	for i := range ios {
		b := &ios[i]
		if !b.unfinished() {
			continue
		}
		var n int
		if d == reading {
			n, b.Err = f.ReadAtContext(ctx, b.P[b.N:], b.Off+int64(b.N))
		} else {
			n, b.Err = f.WriteAtContext(ctx, b.P[b.N:], b.Off+int64(b.N))
		}
		b.N += n
	}
}

func (f *File) batchOn(ctx context.Context, e *proactor.Engine, d *direction, ios []IO, left int) {
	stats := &f.files.stats
	stats.batches.Add(1)
	stats.engine.Add(uint64(left))
	c := proactor.NewCall(left)
	k := 0
	for i := range ios {
		if b := &ios[i]; b.unfinished() {
			o := &c.Ops[k]
			k++
			p := b.P[b.N:]
			o.Kind, o.FD, o.Buf, o.Off = d.kind, int32(f.fd), p[:min(len(p), maxTransfer)], b.Off+int64(b.N)
		}
	}
	err := e.Do(ctx, c)
	if err != nil && err != proactor.ErrShutdown {
		for i := range ios {
			if b := &ios[i]; b.unfinished() {
				b.Err = err
			}
		}
		return // c stays the engine's
	}
	if err == nil {
		f.batchResults(ctx, d, ios, c.Results)
	}
	c.Free()
}

func (f *File) batchResults(ctx context.Context, d *direction, ios []IO, rs []proactor.Result) {
	k := 0
	for i := range ios {
		b := &ios[i]
		if !b.unfinished() {
			continue
		}
		r := rs[k]
		k++
		if r.Errno == syscall.ECANCELED && ctx.Err() != nil {
			b.Err = context.Cause(ctx)
		} else {
			b.took(f, d, r.N, r.Errno)
		}
	}
}

// took notes the result of an operation. One that is unfinished after it is to be gone on with.
func (b *IO) took(f *File, d *direction, n int32, errno syscall.Errno) {
	switch {
	case errno == syscall.EINTR || errno == syscall.ECANCELED || errno == syscall.EAGAIN:
	case errno != 0:
		b.Err = errno
	default:
		b.N += int(n)
		if b.unfinished() && d == reading && (n == 0 || f.direct && n%sector != 0) {
			b.Err = io.EOF
		}
	}
}

// batchAlone does a batch of an ordinary goroutine on a ring of its own, as far as it comes. It reports false where that is
// not the way.
func (f *File) batchAlone(ctx context.Context, d *direction, ios []IO) bool {
	fs := f.files
	if ctx.Done() != nil || len(ios) < 2 || !f.disk || f.sim != nil || executor.Current() != nil || !fs.hasRing() {
		return false
	}
	r := fs.rings.take()
	if r == nil {
		return false
	}
	left := 0
	for i := range ios {
		if ios[i].unfinished() {
			left++
		}
	}
	fs.stats.batches.Add(1)
	fs.stats.engine.Add(uint64(left))
	fs.waiting.Add(int32(left))
	defer fs.waiting.Add(-int32(left))
	if !r.run(f, d, ios) {
		// It cannot happen but by somebody else's closing the ring. What was in flight is unknown, so the ring stays as it is.
		for i := range ios {
			if ios[i].unfinished() {
				ios[i].Err = proactor.ErrBroken
			}
		}
		return true
	}
	fs.rings.put(r)
	return true
}
