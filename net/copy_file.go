//go:build linux

package net

import (
	"errors"
	"io"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// Files to connections on the engine, with sendfile(2): the bytes do not leave the kernel. The socket is non-blocking, so
// only the file may wait, for its disk. A coroutine must not, so it sends what is in memory, a piece at a time with a turn
// for the others in between, and leaves a piece that is not to a goroutine.

// fileSource is a file, whoever's: os.File, what it shows to ReadFrom, File of package file.
type fileSource interface {
	syscall.Conn
	Stat() (os.FileInfo, error)
}

const (
	// filePiece is how much one coroutine sends before the others have their turn, about half a millisecond. With 256 KiB a
	// turn and a system call for each cost a quarter more CPU than package net needs.
	filePiece = 1 << 20
	// fileLook is how far apart the bytes are that tell whether a piece is in memory.
	fileLook = 256 << 10
	// fileMost is what one call takes.
	fileMost = 1 << 30
)

// regular returns the file that r reads, and how much of it; false where r is something else.
func regular(r io.Reader) (src fileSource, limit *io.LimitedReader, ok bool) {
	limit, ok = r.(*io.LimitedReader)
	if ok {
		r = limit.R
	}
	src, ok = r.(fileSource)
	if !ok {
		return nil, nil, false
	}
	info, err := src.Stat()
	return src, limit, err == nil && info.Mode().IsRegular()
}

// sendFile sends what is left of a file, or of a limit. handled is false when that is not the way, and nothing was sent.
func sendFile(pc *proactor.Conn, r io.Reader) (sent int64, handled bool, err error) {
	src, limit, ok := regular(r)
	if !ok {
		return 0, false, nil
	}
	left := int64(math.MaxInt64)
	if limit != nil {
		left = limit.N
		defer func() { limit.N -= sent }()
	}
	raw, err := src.SyscallConn()
	if err != nil {
		return 0, false, nil
	}
	co := onCoroutine()
	for left > 0 {
		piece := min(left, fileMost)
		if co {
			piece = min(left, filePiece)
		}
		n, tried, err := sendPiece(pc, raw, int(piece), co)
		sent, left = sent+n, left-n
		switch {
		case sent == 0 && !tried && (err == ErrClosed || err == os.ErrDeadlineExceeded):
			return 0, false, nil // it is the Write of a copy that fails then, as in the standard library
		case sent == 0 && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)):
			return 0, false, nil
		case err != nil || n == 0:
			return sent, true, err
		}
		if co {
			executor.Yield()
		}
	}
	return sent, true, nil
}

// sendPiece sends up to n bytes from the file's position, less only at its end or with an error. tried says whether it came as
// far as the system call.
func sendPiece(pc *proactor.Conn, raw syscall.RawConn, n int, co bool) (sent int64, tried bool, err error) {
	send := func() {
		if e := raw.Control(func(fd uintptr) { sent, tried, err = sendRange(pc, int(fd), n) }); e != nil {
			err = e
		}
	}
	if co && !inMemory(raw, n) {
		await(send)
	} else {
		send()
	}
	return sent, tried, err
}

// sendRange is sendfile(2) for as long as it takes.
func sendRange(pc *proactor.Conn, file, n int) (sent int64, tried bool, err error) {
	var failed error
	err = pc.WriteWith(func(fd int) bool {
		tried = true
		for sent < int64(n) {
			m, err := unix.Sendfile(fd, file, nil, n-int(sent))
			if m > 0 {
				sent += int64(m)
			}
			switch {
			case err == unix.EAGAIN:
				return false
			case err == unix.EINTR:
			case err != nil:
				failed = os.NewSyscallError("sendfile", err)
				return true
			case m == 0:
				return true
			}
		}
		return true
	})
	if err == nil {
		err = failed
	}
	return sent, tried, named("sendfile", err)
}

// inMemory reports whether the page cache has the next n bytes, as far as some of them tell.
func inMemory(raw syscall.RawConn, n int) (cached bool) {
	_ = raw.Control(func(fd uintptr) {
		at, err := unix.Seek(int(fd), 0, io.SeekCurrent)
		if err != nil {
			return
		}
		var b [1]byte
		for off, last := at, at+int64(n)-1; ; off = min(off+fileLook, last) {
			_, err := unix.Preadv2(int(fd), [][]byte{b[:]}, off, unix.RWF_NOWAIT)
			if err == unix.EAGAIN {
				return
			}
			if off == last {
				break
			}
		}
		cached = true // or the file system cannot say: then it waits as any system call of a handler's
	})
	return cached
}
