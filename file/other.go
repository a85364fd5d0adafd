//go:build !linux

package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/ouro-io/ouro/buffers"
)

// File wraps an os.File.
type File struct{ *os.File }

// IO is one transfer of a batch.
type IO struct {
	// P is the memory that is read into or written from, Off where in the file.
	P   []byte
	Off int64
	// N is how many bytes were transferred, and Err why it is less than len(P).
	N   int
	Err error
}

// DirectIO does nothing on this system.
const DirectIO = 0

// Advice tells the system how a part of a file will be used.
type Advice int

// The kinds of Advice.
const (
	Normal Advice = iota
	Random
	Sequential
	WillNeed
	DontNeed
	NoReuse
)

// Config configures New. Only LeaseBytes means something on this system.
type Config struct {
	// LeaseBytes bounds the memory that Lease and ReadAtLease lend, in bytes. Default 64 MiB.
	LeaseBytes int
}

// Files opens files.
type Files struct{ leases *buffers.Pool }

// New returns a Files of its own.
func New(c Config) (*Files, error) {
	pool, err := buffers.NewPool(buffers.PoolConfig{MaxBytes: c.LeaseBytes})
	return &Files{pool}, err
}

var defaultFiles, _ = New(Config{})

// Default returns the Files that the package's functions use.
func Default() *Files { return defaultFiles }

// Close reports leases that are still held.
func (fs *Files) Close(context.Context) error { return fs.leases.Close() }

// Lease lends n bytes.
func (fs *Files) Lease(n int) (buffers.Lease, error) { return fs.leases.Get(n) }

// Lease is Files.Lease of the default Files.
func Lease(n int) (buffers.Lease, error) { return defaultFiles.Lease(n) }

// Stats has the state of the memory that Lease lends; nothing else is counted on this system.
type Stats struct {
	Cached, Missed, Plain, Engine, Batches uint64
	Waiting                                int
	Leases                                 buffers.PoolStats
}

// Stats returns the counters.
func (fs *Files) Stats() Stats { return Stats{Leases: fs.leases.Stats()} }

// Wrap makes a File of f.
func Wrap(f *os.File) *File { return &File{f} }

// Wrap is the function Wrap.
func (fs *Files) Wrap(f *os.File) *File { return &File{f} }

func wrapped(f *os.File, err error) (*File, error) {
	if err != nil {
		return nil, err
	}
	return &File{f}, nil
}

// Open is os.Open.
func Open(name string) (*File, error) { return wrapped(os.Open(name)) }

// Create is os.Create.
func Create(name string) (*File, error) { return wrapped(os.Create(name)) }

// OpenFile is os.OpenFile.
func OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	return wrapped(os.OpenFile(name, flag, perm))
}

// ReadFile is os.ReadFile.
func ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

// WriteFile is os.WriteFile.
func WriteFile(name string, data []byte, perm fs.FileMode) error {
	return os.WriteFile(name, data, perm)
}

// DirFS is os.DirFS.
func DirFS(dir string) fs.FS { return os.DirFS(dir) }

// Open is the function Open.
func (*Files) Open(name string) (*File, error) { return Open(name) }

// Create is the function Create.
func (*Files) Create(name string) (*File, error) { return Create(name) }

// OpenFile is the function OpenFile.
func (*Files) OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	return OpenFile(name, flag, perm)
}

// ReadFile is the function ReadFile.
func (*Files) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

// WriteFile is the function WriteFile.
func (*Files) WriteFile(name string, data []byte, perm fs.FileMode) error {
	return os.WriteFile(name, data, perm)
}

// DirFS is the function DirFS.
func (*Files) DirFS(dir string) fs.FS { return os.DirFS(dir) }

// Std returns the os.File below f.
func (f *File) Std() *os.File { return f.File }

// guarded calls use unless ctx has ended. It is not ended later: there is no way to on this system.
func (f *File) guarded(ctx context.Context, operation string, use func() error) error {
	if ctx.Err() != nil {
		return &fs.PathError{Op: operation, Path: f.Name(), Err: context.Cause(ctx)}
	}
	return use()
}

// ReadContext is Read unless ctx has ended.
func (f *File) ReadContext(ctx context.Context, p []byte) (n int, err error) {
	return n, f.guarded(ctx, "read", func() (e error) { n, e = f.Read(p); return e })
}

// ReadAtContext is ReadAt unless ctx has ended.
func (f *File) ReadAtContext(ctx context.Context, p []byte, off int64) (n int, err error) {
	return n, f.guarded(ctx, "read", func() (e error) { n, e = f.ReadAt(p, off); return e })
}

// WriteContext is Write unless ctx has ended.
func (f *File) WriteContext(ctx context.Context, p []byte) (n int, err error) {
	return n, f.guarded(ctx, "write", func() (e error) { n, e = f.Write(p); return e })
}

// WriteAtContext is WriteAt unless ctx has ended.
func (f *File) WriteAtContext(ctx context.Context, p []byte, off int64) (n int, err error) {
	return n, f.guarded(ctx, "write", func() (e error) { n, e = f.WriteAt(p, off); return e })
}

// SyncContext is Sync unless ctx has ended.
func (f *File) SyncContext(ctx context.Context) error { return f.guarded(ctx, "sync", f.Sync) }

// Datasync is Sync.
func (f *File) Datasync() error { return f.Sync() }

// DatasyncContext is Sync unless ctx has ended.
func (f *File) DatasyncContext(ctx context.Context) error { return f.guarded(ctx, "sync", f.Sync) }

// Allocate is not supported on this system.
func (f *File) Allocate(off, n int64) error { return f.unsupported("fallocate") }

// PunchHole is not supported on this system.
func (f *File) PunchHole(off, n int64) error { return f.unsupported("fallocate") }

// Advise does nothing on this system.
func (f *File) Advise(off, n int64, advice Advice) error { return nil }

func (f *File) unsupported(operation string) error {
	return &fs.PathError{Op: operation, Path: f.Name(), Err: errors.ErrUnsupported}
}

// ReadAtLease reads n bytes at off into a lease.
func (f *File) ReadAtLease(n int, off int64) (buffers.Lease, error) {
	l, err := Lease(n)
	if err != nil {
		return l, &fs.PathError{Op: "read", Path: f.Name(), Err: err}
	}
	m, err := f.ReadAt(l.Bytes(), off)
	if m == 0 && err != nil {
		l.Release()
		return buffers.Lease{}, err
	}
	return l.Slice(0, m), err
}

// ReadAtLeaseContext is ReadAtLease unless ctx has ended.
func (f *File) ReadAtLeaseContext(ctx context.Context, n int, off int64) (l buffers.Lease, err error) {
	return l, f.guarded(ctx, "read", func() (e error) { l, e = f.ReadAtLease(n, off); return e })
}

// WriteAtLease writes the bytes of l at off, and releases l in any case.
func (f *File) WriteAtLease(l buffers.Lease, off int64) (int, error) {
	defer l.Release()
	return f.WriteAt(l.Bytes(), off)
}

// ReadBatch makes the reads of ios one after the other, and returns the first error.
func (f *File) ReadBatch(ios []IO) error { return f.ReadBatchContext(context.Background(), ios) }

// WriteBatch makes the writes of ios one after the other, and returns the first error.
func (f *File) WriteBatch(ios []IO) error { return f.WriteBatchContext(context.Background(), ios) }

// ReadBatchContext is ReadBatch until ctx ends.
func (f *File) ReadBatchContext(ctx context.Context, ios []IO) error {
	return batch(ctx, f.ReadAtContext, ios)
}

// WriteBatchContext is WriteBatch until ctx ends.
func (f *File) WriteBatchContext(ctx context.Context, ios []IO) error {
	return batch(ctx, f.WriteAtContext, ios)
}

func batch(ctx context.Context, do func(context.Context, []byte, int64) (int, error), ios []IO) (first error) {
	for i := range ios {
		b := &ios[i]
		if b.N, b.Err = do(ctx, b.P, b.Off); first == nil {
			first = b.Err
		}
	}
	return first
}

// ReadvAt reads into the slices of ps, one after the other.
func (f *File) ReadvAt(ps [][]byte, off int64) (int64, error) {
	return f.ReadvAtContext(context.Background(), ps, off)
}

// WritevAt writes the slices of ps, one after the other.
func (f *File) WritevAt(ps [][]byte, off int64) (int64, error) {
	return f.WritevAtContext(context.Background(), ps, off)
}

// ReadvAtContext is ReadvAt until ctx ends.
func (f *File) ReadvAtContext(ctx context.Context, ps [][]byte, off int64) (int64, error) {
	return vectors(ctx, f.ReadAtContext, ps, off)
}

// WritevAtContext is WritevAt until ctx ends.
func (f *File) WritevAtContext(ctx context.Context, ps [][]byte, off int64) (int64, error) {
	return vectors(ctx, f.WriteAtContext, ps, off)
}

func vectors(ctx context.Context, do func(context.Context, []byte, int64) (int, error), ps [][]byte, off int64) (total int64, err error) {
	for _, p := range ps {
		n, err := do(ctx, p, off+total)
		if total += int64(n); err != nil {
			return total, err
		}
	}
	return total, nil
}

var _ io.ReaderFrom = (*File)(nil)
