package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/ouro-io/ouro/buffers"
)

// ChunkSize is the size in bytes of the buffer that Read uses where there are no leases.
const ChunkSize = 64 << 10

// LeaseReader is a connection that hands over the buffers that were received into: *net.TCPConn of this module.
type LeaseReader interface {
	ReadLease() (buffers.Lease, error)
	SetReadDeadline(time.Time) error
}

// Leases is the stream of the buffers that c receives. Each belongs to the consumer, who must release it, and soon: they
// are the worker's. When nobody asks for the next one c stops receiving once its quota is full, and TCP stops the peer.
// While it runs it owns the read deadline, by which ctx ends a wait.
func Leases(c LeaseReader) Stream[buffers.Lease] {
	return func(ctx context.Context, yield func(buffers.Lease) bool) error {
		defer interruptible(ctx, c.SetReadDeadline)()
		for {
			l, err := c.ReadLease()
			if err != nil {
				return readEnded(ctx, err)
			}
			if !yield(l) {
				return nil
			}
		}
	}
}

// Read is the stream of the bytes of r, in chunks as they come: a connection, a file, anything. The chunks are borrowed
// (see the package comment). When r is a LeaseReader they are what was received, not copied, else they are read into one
// buffer of ChunkSize. ctx ends a wait by the read deadline, which the stream owns while it runs; without a
// SetReadDeadline a Read that waits is not interrupted.
func Read(r io.Reader) Stream[[]byte] {
	if c, ok := r.(LeaseReader); ok {
		leases := Leases(c)
		return func(ctx context.Context, yield func([]byte) bool) error {
			return leases(ctx, func(l buffers.Lease) bool {
				defer l.Release()
				return yield(l.Bytes())
			})
		}
	}
	return func(ctx context.Context, yield func([]byte) bool) error {
		if d, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok {
			defer interruptible(ctx, d.SetReadDeadline)()
		}
		buf := make([]byte, ChunkSize)
		for {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			n, err := r.Read(buf)
			if n > 0 && !yield(buf[:n:n]) {
				return nil
			}
			if err != nil {
				return readEnded(ctx, err)
			}
		}
	}
}

// readEnded is how a source ends whose read has failed.
func readEnded(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

// interruptible has the end of ctx end the waits that set's deadline governs. The function that it returns ends that, and
// takes the deadline back if it was set.
func interruptible(ctx context.Context, set func(time.Time) error) func() {
	if ctx.Done() == nil {
		return func() {}
	}
	var mu sync.Mutex
	over, fired := false, false
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			fired = true
			_ = set(aLongTimeAgo)
		}
	})
	return func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		if over = true; fired {
			_ = set(time.Time{})
		}
	}
}

// Write runs s and writes its chunks to w, and returns how many bytes were written. A chunk is asked for only when the
// last one is written: a slow w slows s down. ctx ends a wait by the write deadline, as Read says.
func Write(ctx context.Context, s Stream[[]byte], w io.Writer) (int64, error) {
	if d, ok := w.(interface{ SetWriteDeadline(time.Time) error }); ok {
		defer interruptible(ctx, d.SetWriteDeadline)()
	}
	var total int64
	err := s.ForEach(ctx, func(chunk []byte) error {
		n, err := w.Write(chunk)
		total += int64(n)
		if err == nil && n < len(chunk) {
			err = io.ErrShortWrite
		}
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	})
	return total, err
}

// LeaseWriter is a connection that writes a lease and releases it: *net.TCPConn of this module.
type LeaseWriter interface{ WriteLease(buffers.Lease) error }

// WriteLeases runs s and writes its leases to w, which releases them.
func WriteLeases(ctx context.Context, s Stream[buffers.Lease], w LeaseWriter) error {
	if d, ok := w.(interface{ SetWriteDeadline(time.Time) error }); ok {
		defer interruptible(ctx, d.SetWriteDeadline)()
	}
	return s.ForEach(ctx, func(l buffers.Lease) error {
		err := w.WriteLease(l)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	})
}

// Datagram is one datagram. Data is borrowed.
type Datagram struct {
	Addr net.Addr
	Data []byte
}

// Datagrams is the stream of what c receives, up to size bytes of each (0 means 64 KiB). ctx ends a wait by the read
// deadline, which the stream owns while it runs.
func Datagrams(c net.PacketConn, size int) Stream[Datagram] {
	if size == 0 {
		size = 64 << 10
	}
	if size < 0 {
		panic("stream: Datagrams of a negative size")
	}
	return func(ctx context.Context, yield func(Datagram) bool) error {
		defer interruptible(ctx, c.SetReadDeadline)()
		buf := make([]byte, size)
		for {
			n, addr, err := c.ReadFrom(buf)
			if err != nil {
				return readEnded(ctx, err)
			}
			if !yield(Datagram{addr, buf[:n:n]}) {
				return nil
			}
		}
	}
}

// WriteDatagrams runs s and sends each datagram to its address.
func WriteDatagrams(ctx context.Context, s Stream[Datagram], c net.PacketConn) error {
	defer interruptible(ctx, c.SetWriteDeadline)()
	return s.ForEach(ctx, func(d Datagram) error {
		_, err := c.WriteTo(d.Data, d.Addr)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	})
}
