//go:build linux

package optest

import (
	"os"
	"path/filepath"
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

var fileChecks = []check{
	{name: "read and write at offsets", run: fileOffsets},
	{name: "the file's own position", run: filePosition},
	{name: "vectors", run: fileVectors},
	{name: "many at once", run: fileMany},
	{name: "sync", run: fileSync},
	{name: "errors", run: fileErrors},
	{name: "cancel", run: fileCancel},
	{name: "close with operations under way", run: fileClose},
}

// file opens a new file, of which the test's directory is rid at its end.
func (r *rig) file(flags int) int {
	name := filepath.Join(r.t.TempDir(), "file")
	fd, err := unix.Open(name, flags|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	r.NoError(err)
	return r.own(fd)
}

func (r *rig) transfer(k op.Kind, fd int, p []byte, off int64) told {
	w := r.op(k, fd)
	w.Buf, w.Off = p, off
	return r.submit(w).end()
}

func fileOffsets(r *rig) {
	fd := r.file(unix.O_RDWR)
	const size = 300_000
	want := pattern(0, size)
	r.Equal(told{result: size}, r.transfer(op.Write, fd, want, 0))
	for _, at := range []int{0, 1, 4095, 4096, 123_456, size - 1} {
		p := make([]byte, 5000)
		n := min(len(p), size-at)
		r.Equal(told{result: int32(n)}, r.transfer(op.Read, fd, p, int64(at)))
		r.Equal(want[at:at+n], p[:n])
	}
	r.Equal(told{}, r.transfer(op.Read, fd, make([]byte, 10), size), "end of file")
	r.Equal(told{}, r.transfer(op.Read, fd, make([]byte, 10), size+1<<40))
	// A hole reads as zeroes.
	r.Equal(told{result: 1}, r.transfer(op.Write, fd, []byte("x"), size+10))
	p := make([]byte, 100)
	r.Equal(told{result: 11}, r.transfer(op.Read, fd, p, size))
	r.Equal(append(make([]byte, 10), 'x'), p[:11])
	pos, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	r.NoError(err)
	r.Zero(pos, "offsets must leave the file's own position alone")
}

func filePosition(r *rig) {
	fd := r.file(unix.O_RDWR)
	for i := range 20 {
		r.Equal(told{result: 100}, r.transfer(op.Write, fd, pattern(i*100, 100), -1))
	}
	_, err := unix.Seek(fd, 50, unix.SEEK_SET)
	r.NoError(err)
	for i := range 19 {
		p := make([]byte, 100)
		r.Equal(told{result: 100}, r.transfer(op.Read, fd, p, -1))
		r.Equal(pattern(50+i*100, 100), p)
	}
	// O_APPEND goes to the end whatever the offset is.
	end := r.file(unix.O_RDWR | unix.O_APPEND)
	r.Equal(told{result: 3}, r.transfer(op.Write, end, []byte("abc"), -1))
	r.Equal(told{result: 3}, r.transfer(op.Write, end, []byte("def"), -1))
	p := make([]byte, 10)
	r.Equal(told{result: 6}, r.transfer(op.Read, end, p, 0))
	r.Equal("abcdef", string(p[:6]))
}

func fileVectors(r *rig) {
	fd := r.file(unix.O_RDWR)
	want := pattern(0, 10_000)
	r.Equal(told{result: 10_000}, r.transfer(op.Writev, fd, iovecBytes(want[:1], want[1:7000], want[7000:]), 0))
	got := make([]byte, 10_000)
	r.Equal(told{result: 9_995}, r.transfer(op.Readv, fd, iovecBytes(got[:3000], got[3000:3001], got[3001:]), 5))
	r.Equal(want[5:], got[:9_995])
	r.Equal(told{}, r.transfer(op.Readv, fd, iovecBytes(got), 10_000))
}

func fileMany(r *rig) {
	fd := r.file(unix.O_RDWR)
	const n = 500
	var ws []*watched
	for i := range n {
		w := r.op(op.Write, fd)
		w.Buf, w.Off = pattern(i*1000, 1000), int64(i*1000)
		ws = append(ws, r.submit(w))
	}
	for _, w := range ws {
		r.Equal(told{result: 1000}, w.end())
	}
	for i, w := range ws {
		w.Kind, w.Buf, w.got = op.Read, make([]byte, 1000), nil
		w.Off = int64((i * 7 % n) * 1000)
		r.submit(w)
	}
	for i, w := range ws {
		r.Equal(told{result: 1000}, w.end())
		r.Equal(pattern((i*7%n)*1000, 1000), w.Buf)
	}
}

func fileSync(r *rig) {
	fd := r.file(unix.O_RDWR)
	r.Equal(told{result: 3}, r.transfer(op.Write, fd, []byte("abc"), 0))
	for _, flags := range []uint32{0, 1} {
		w := r.op(op.Fsync, fd)
		w.Events = flags
		r.Equal(told{}, r.submit(w).end())
	}
}

func fileErrors(r *rig) {
	fd := r.file(unix.O_RDONLY)
	r.Equal(told{errno: syscall.EBADF}, r.transfer(op.Write, fd, []byte("x"), 0))
	r.Equal(told{errno: syscall.EBADF}, r.transfer(op.Read, 1<<20, make([]byte, 1), 0))
	dir, err := unix.Open(r.t.TempDir(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	r.NoError(err)
	r.own(dir)
	r.Equal(told{errno: syscall.EISDIR}, r.transfer(op.Read, dir, make([]byte, 1), 0))
	if full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil {
		defer full.Close()
		r.Equal(told{errno: syscall.ENOSPC}, r.transfer(op.Write, int(full.Fd()), []byte("x"), 0))
	}
}

// fileCancel: a transfer either is done in full or not at all, and what was cancelled is not done later.
func fileCancel(r *rig) {
	fd := r.file(unix.O_RDWR)
	at := 0
	atEveryPoint(r, func() (*watched, func(), func(told)) {
		w := r.op(op.Write, fd)
		from := int64(at)
		w.Buf, w.Off = pattern(at, 1000), from
		at += 1000
		return r.submit(w), func() {}, func(last told) {
			p := make([]byte, 1000)
			n, err := unix.Pread(fd, p, from)
			r.NoError(err)
			if last.errno == 0 {
				r.Equal(told{result: 1000}, last)
				r.Equal(w.Buf, p[:n])
			} else {
				r.NotEqual(w.Buf, p[:n])
			}
		}
	})
	var ws []*watched
	for range 200 {
		w := r.op(op.Fsync, fd)
		ws = append(ws, r.submit(w))
	}
	for _, w := range ws {
		r.b.Cancel(&w.Op)
	}
	for _, w := range ws {
		if last := w.end(); last.errno != 0 {
			r.Equal(told{errno: syscall.ECANCELED}, last)
		}
	}
	r.Zero(r.b.InFlight())
}

func fileClose(r *rig) {
	fd := r.file(unix.O_RDWR)
	var ws []*watched
	for i := range 100 {
		w := r.op(op.Write, fd)
		w.Buf, w.Off = pattern(0, 100), int64(i*100)
		ws = append(ws, r.submit(w))
	}
	r.NoError(r.b.Close())
	for _, w := range ws {
		r.True(w.ended(), "no terminal completion from Close")
		if t := w.got[0]; t.errno != 0 {
			r.Equal(told{errno: syscall.ECANCELED}, t)
		} else {
			r.Equal(told{result: 100}, t)
		}
	}
}
