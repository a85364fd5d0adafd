//go:build linux

package file

import (
	"context"

	"github.com/ouro-io/ouro/buffers"
)

// ReadAtLease reads n bytes at off into memory of the package, aligned as O_DIRECT needs, and hands it to the caller, who
// releases it. At the end of the file the lease is shorter, with io.EOF; with an error and nothing read it is the zero
// Lease. Errors besides ReadAt's: those of Lease.
func (f *File) ReadAtLease(n int, off int64) (buffers.Lease, error) {
	return f.ReadAtLeaseContext(context.Background(), n, off)
}

// ReadAtLeaseContext is ReadAtLease that ends when ctx ends, as ReadContext.
func (f *File) ReadAtLeaseContext(ctx context.Context, n int, off int64) (buffers.Lease, error) {
	if err := f.enter("read"); err != nil {
		return buffers.Lease{}, err
	}
	defer f.leave()
	l, err := f.files.Lease(n)
	if err != nil {
		return l, f.pathError("read", err)
	}
	m, err := f.ReadAtContext(ctx, l.Bytes(), off)
	if m == 0 && err != nil {
		l.Release()
		return buffers.Lease{}, err
	}
	return l.Slice(0, m), err
}

// WriteAtLease writes the bytes of l at off, and releases l in any case.
func (f *File) WriteAtLease(l buffers.Lease, off int64) (int, error) {
	defer l.Release()
	return f.WriteAt(l.Bytes(), off)
}
