package op

import (
	"errors"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/buffers"
)

// ErrClosed is returned by Submit on a backend that was closed or that broke.
var ErrClosed = errors.New("backend closed")

// Backend performs operations for one worker. The package comment says who may call what.
type Backend interface {
	// Submit accepts o, which must be idle. When it returns nil exactly one terminal completion follows, from a
	// later Poll, never from inside Submit; the operation may start as late as the next Poll. An error means that
	// nothing was accepted.
	Submit(o *Op) error
	// Cancel asks for an early end of o. Harmless when o is idle or was cancelled before.
	Cancel(o *Op)
	// Poll starts what was submitted and delivers completions. It waits up to wait for the first of them, without
	// limit when wait < 0, not at all when 0; Wake ends the wait. It returns how many it delivered. An error
	// means that the backend is broken and delivers nothing more.
	Poll(wait time.Duration) (int, error)
	// Wake ends the Poll that is under way, or the next one. Any goroutine.
	Wake()
	// Close cancels what is in flight, delivers the terminal completions and releases the kernel's resources.
	Close() error

	// Buffers is the pool that Recv takes its memory from.
	Buffers() *buffers.Group
	// Stats may be called from any goroutine.
	Stats() Stats
	// InFlight is the number of operations accepted and not yet ended. Any goroutine.
	InFlight() int
	// Batches reports whether Submit defers the system call, so that many operations share one. Where it is false a
	// direct call through System is as cheap as an operation.
	Batches() bool
	// FileFlags are the open flags that listeners, sockets to be connected and files used with this backend must have
	// besides close-on-exec: O_NONBLOCK for a reactor, 0 for io_uring, which would fail with EAGAIN instead of waiting.
	// Connected sockets are non-blocking with every backend: receives and sends wait all the same, and system calls of
	// others do not.
	FileFlags() int
}

// Stats counts what a backend did since it began. All values only grow.
type Stats struct {
	// Submitted and Completed count operations accepted and completions delivered (a multishot has many).
	Submitted, Completed uint64
	// Syscalls counts the system calls that submit or wait; Polls the calls of Poll that delivered something, so
	// that Completed/Polls is the mean batch.
	Syscalls, Polls uint64
	// NoBuffers counts completions with ENOBUFS (not a shortage that the backend mended by handing over more buffers),
	// Overflows the times the kernel had to keep completions back.
	NoBuffers, Overflows uint64
	// Rearmed counts multishots that were ended to arm them again on another thread.
	Rearmed uint64
	// Fixed counts operations on registered memory, FixedBytes is how much of that there is, and FixedRefused counts the times
	// that memory was not registered: its operations were ordinary ones.
	Fixed, FixedBytes, FixedRefused uint64
}

// System is the set of socket calls that the engine makes without a backend's help. None of them waits but for a Close that is
// told to; each is safe from any goroutine, and 0 means success.
type System interface {
	// Send is send(2) with MSG_DONTWAIT and MSG_NOSIGNAL.
	Send(fd int, p []byte) (int, syscall.Errno)
	// Recv is recv(2) with MSG_DONTWAIT.
	Recv(fd int, p []byte) (int, syscall.Errno)
	// Shutdown is shutdown(2).
	Shutdown(fd, how int) syscall.Errno
	// Close is close(2), in the way that how says.
	Close(fd int, how Closing) syscall.Errno
	// Lingers reports whether Close may wait for what is unsent, as SO_LINGER with a time has it do.
	Lingers(fd int) bool
	// Duplicate is a close-on-exec duplicate of fd, whose status flags become those given: O_NONBLOCK or 0. They are
	// shared with fd.
	Duplicate(fd, flags int) (int, syscall.Errno)
	// Name is getsockname(2), with peer getpeername(2). The zero Endpoint stands for any error and any family that is
	// not IP.
	Name(fd int, peer bool) Endpoint
}

// Closing is a way to close a descriptor.
type Closing uint8

const (
	// Orderly sends what the socket holds, and does not wait for that.
	Orderly Closing = iota
	// Reset drops what the socket holds and resets the peer, as the kernel does for a socket that is closed with unread data.
	Reset
	// Waiting is Orderly where the kernel may wait: Lingers has said so.
	Waiting
)

// Endpoint is one end of an IP connection.
type Endpoint struct {
	// IP is the address; of IPv4 the first four bytes.
	IP [16]byte
	// Zone is the IPv6 scope id, 0 for none.
	Zone uint32
	Port uint16
	// Family is 4 or 6, 0 for none.
	Family uint8
}

// Forgetter is implemented by a backend that keeps records by descriptor. Forget is called, by the goroutine that runs
// the worker, before a descriptor that no operation in flight uses is closed.
type Forgetter interface {
	Forget(fd int)
}
