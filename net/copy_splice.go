//go:build linux

package net

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// From connection to connection, both on the engine. Small messages go fastest by leases: received ahead, in the engine's
// buffers, and sent from there with the turn's other sends. Bulk data goes fastest by splice(2), which does not copy.
// (Measured with 16 connections against io.Copy on package net, which splices: 1 KiB messages 1.9 times as many by leases
// and 1.7 by splice; 16 KiB about as many either way; 256 KiB 0.5 by leases and 1.3 by splice.) So a copy begins with
// leases, and goes over to splice for good once several in a row were so large that it cannot be messages any more.
const (
	spliceLease = 48 << 10 // of buffers of 64 KiB
	spliceAfter = 8
	splicePipe  = 256 << 10
)

// bulk counts large leases in a row.
type bulk int

func (b *bulk) saw(n int) bool {
	if n < spliceLease {
		*b = 0
		return false
	}
	*b++
	return *b >= spliceAfter
}

// spliceTo copies from src to dst until the end of the stream. handled is false when it cannot be done here, and then
// nothing was.
func spliceTo(dst, src *proactor.Conn) (total int64, handled bool, err error) {
	var pipe [2]int
	if unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return 0, false, nil
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	size, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_SETPIPE_SZ, splicePipe)
	if err != nil {
		return 0, false, nil // the user's limit of memory in pipes: leases have more room
	}
	src.NoReadAhead()
	co := onCoroutine()
	for {
		n, err := move(src.ReadWith, func(fd int) (int64, error) {
			n, err := spliceOnce(fd, pipe[1], size)
			src.Took(int(max(n, 0)))
			return n, err
		})
		if errors.Is(err, proactor.ErrReadAhead) {
			m, err := drainAhead(dst, src)
			total += m
			if err != nil {
				return total, true, err
			}
			continue
		}
		if err != nil || n == 0 {
			return total, true, err
		}
		for n > 0 {
			m, err := move(dst.WriteWith, func(fd int) (int64, error) { return spliceOnce(pipe[0], fd, int(n)) })
			total, n = total+m, n-m
			if err != nil {
				return total, true, err
			}
			if m == 0 {
				return total, true, io.ErrShortWrite
			}
		}
		if co {
			executor.Yield() // a stream that never pauses must not keep its worker
		}
	}
}

// move makes one transfer with a side that waits until it can be made.
func move(with func(func(fd int) bool) error, transfer func(fd int) (int64, error)) (n int64, err error) {
	var failed error
	err = with(func(fd int) bool {
		for {
			if n, failed = transfer(fd); failed != unix.EINTR {
				return failed != unix.EAGAIN
			}
		}
	})
	if err == nil {
		err = os.NewSyscallError("splice", failed)
	}
	return max(n, 0), named("splice", err)
}

func spliceOnce(from, to, n int) (int64, error) {
	done, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	return int64(done), err // an int on 32-bit systems
}

// drainAhead copies what the engine had received before it stopped to.
func drainAhead(dst, src *proactor.Conn) (int64, error) {
	b := make([]byte, splicePipe)
	n, err := src.Read(b)
	if n > 0 {
		m, err := dst.Write(b[:n])
		return int64(m), err
	}
	if err == io.EOF {
		err = nil // the splice finds it again
	}
	return 0, err
}
