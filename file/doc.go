// Package file is files with the API and the errors of package os, whose reads and writes go through io_uring where
// that pays.
//
//	f, err := file.Open(name)           // as os.Open; *File has os.File's methods
//	n, err := f.ReadAt(p, off)          // from the page cache in the calling goroutine, else on a ring
//	n, err = f.ReadAtContext(ctx, p, off)
//	err = f.ReadBatch(ops)              // many reads, one system call
//
// # When to choose it, and when not
//
// It pays where many reads or writes wait for a disk at once: O_DIRECT, or data that is not in memory, from many
// goroutines, from coroutines (handlers of net.Serve), or in batches. It is no slower than package os where data is in
// the page cache, and where one goroutine reads at a time. It gains nothing for programs that read a file once from
// beginning to end.
//
// # How a read finds its way
//
//   - What the page cache has is read in the calling goroutine (preadv2(2) with RWF_NOWAIT), unless the file is O_DIRECT
//     or earlier reads of it found nothing there.
//   - What would wait goes to a ring: on a coroutine to that of its worker, elsewhere to one that the package's goroutines
//     share (Files). Only the coroutine or goroutine waits, no thread does.
//   - When nothing else is waiting, an ordinary goroutine makes the ordinary system call: with one operation in flight
//     the ring's wake-ups cost more than they save.
//
// Writes go the same way, with pwritev2(2). Stats counts how often each way was taken. Where io_uring is missing,
// goroutines make ordinary system calls, bounded in number by Config.Threads, and coroutines leave them to the engine's
// epoll backend, which has a bounded number of goroutines for them. Files without a disk (pipes, terminals, sockets,
// directories) are package os's.
//
// # Who may call, who owns the memory
//
// Everything is safe from any goroutine or coroutine, but not from the engine's own callbacks. Memory that is passed to a
// call is the caller's again when the call returns, also when its context ended: then the operation was cancelled and
// awaited. Lease lends aligned memory for O_DIRECT; ReadAtLease returns its data in such a lease, which the caller
// releases.
//
// # Errors
//
// Errors are those of package os: *fs.PathError with the same operation names, a bare io.EOF, os.ErrClosed,
// io.ErrShortWrite. A context's error stands in a *fs.PathError as well. EINTR and EAGAIN are never returned for disk files.
//
// # What it needs and refuses
//
// io_uring from Linux 6.1; without it the same API works on system calls. On other systems File wraps os.File. Deadlines
// on disk files are refused as by package os (os.ErrNoDeadline): use the Context variants, which end any operation that
// the kernel has not begun, and wait for the others: a disk cannot be interrupted.
package file
