//go:build linux

package uring

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func cpath(t testing.TB, path string) *byte {
	p, err := unix.BytePtrFromString(path)
	require.NoError(t, err)
	return p
}

// The whole life of a file on the ring.
func TestFile(t *testing.T) {
	r := newRing(t, Params{})
	path := filepath.Join(t.TempDir(), "file")
	p := cpath(t, path)
	step := func(prep func(*SQE)) int32 {
		t.Helper()
		queue(t, r, 1, prep)
		return one(t, r, 1).Res
	}
	fd := int(step(func(s *SQE) {
		s.PrepOpenat(unix.AT_FDCWD, p, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	}))
	require.Positive(t, fd)
	if got := step(func(s *SQE) { s.PrepFallocate(fd, 0, 0, 100) }); got == res(syscall.EOPNOTSUPP) {
		t.Log("this file system has no fallocate") // ramfs, the root of a small virtual machine
		require.NoError(t, unix.Ftruncate(fd, 100))
	} else {
		require.Zero(t, got)
	}
	out := []byte("hello")
	require.EqualValues(t, 5, step(func(s *SQE) { s.PrepWrite(fd, out, 10) }))
	require.Zero(t, step(func(s *SQE) { s.PrepFsync(fd, 0) }))
	require.Zero(t, step(func(s *SQE) { s.PrepFsync(fd, FsyncDatasync) }))
	st := new(unix.Statx_t)
	require.Zero(t, step(func(s *SQE) { s.PrepStatx(unix.AT_FDCWD, p, 0, unix.STATX_SIZE|unix.STATX_MODE, st) }))
	require.EqualValues(t, 100, st.Size)
	require.EqualValues(t, 0o600, st.Mode&0o777)
	in := make([]byte, 5)
	require.EqualValues(t, 5, step(func(s *SQE) { s.PrepRead(fd, in, 10) }))
	require.Equal(t, "hello", string(in))
	require.Zero(t, step(func(s *SQE) { s.PrepFadvise(fd, 0, 0, unix.FADV_DONTNEED) }))

	two := [][]byte{make([]byte, 2), make([]byte, 3)}
	iovs := []unix.Iovec{{Base: &two[0][0]}, {Base: &two[1][0]}}
	iovs[0].SetLen(2)
	iovs[1].SetLen(3)
	require.EqualValues(t, 5, step(func(s *SQE) { s.PrepReadv(fd, iovs, 10) }))
	require.Equal(t, "hello", string(two[0])+string(two[1]))
	require.EqualValues(t, 5, step(func(s *SQE) { s.PrepWritev(fd, iovs, 95) }))

	if res, _ := ProbeFeature("op.FTRUNCATE"); res.State == Yes {
		require.Zero(t, step(func(s *SQE) { s.PrepFtruncate(fd, 12) }))
		require.Zero(t, step(func(s *SQE) { s.PrepRead(fd, in, 12) }), "end of file")
	}
	require.Zero(t, step(func(s *SQE) { s.PrepClose(fd) }))
	require.Equal(t, res(syscall.EBADF), step(func(s *SQE) { s.PrepRead(fd, in, 0) }))
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC}
	fd = int(step(func(s *SQE) { s.PrepOpenat2(unix.AT_FDCWD, p, how) }))
	require.Positive(t, fd)
	require.NoError(t, unix.Close(fd))
	require.Equal(t, res(syscall.ENOENT), step(func(s *SQE) {
		s.PrepOpenat(unix.AT_FDCWD, cpath(t, path+"-none"), unix.O_RDONLY, 0)
	}))
	runtime.KeepAlive(out)
	runtime.KeepAlive(two)
}

func TestDirectoriesAndRenames(t *testing.T) {
	need(t, "op.UNLINKAT", "op.RENAMEAT", "op.MKDIRAT")
	r := newRing(t, Params{})
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	pa, pb := cpath(t, a), cpath(t, b)
	queue(t, r, 1, func(s *SQE) { s.PrepMkdirat(unix.AT_FDCWD, pa, 0o700) })
	require.Zero(t, one(t, r, 1).Res)
	queue(t, r, 2, func(s *SQE) { s.PrepRenameat(unix.AT_FDCWD, pa, unix.AT_FDCWD, pb, 0) })
	require.Zero(t, one(t, r, 2).Res)
	info, err := os.Stat(b)
	require.NoError(t, err)
	require.True(t, info.IsDir())
	queue(t, r, 3, func(s *SQE) { s.PrepUnlinkat(unix.AT_FDCWD, pb, unix.AT_REMOVEDIR) })
	require.Zero(t, one(t, r, 3).Res)
	require.NoDirExists(t, b)
	runtime.KeepAlive(pa)
	runtime.KeepAlive(pb)
}

func pipe(t testing.TB) (rd, wr int) {
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	closeLater(t, p[0])
	closeLater(t, p[1])
	return p[0], p[1]
}

func TestSpliceAndTee(t *testing.T) {
	need(t, "op.SPLICE", "op.TEE")
	r := newRing(t, Params{})
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("0123456789"), 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	rd, wr := pipe(t)
	queue(t, r, 1, func(s *SQE) { s.PrepSplice(int(f.Fd()), 3, wr, CurrentPosition, 4, 0) })
	require.EqualValues(t, 4, one(t, r, 1).Res)
	rd2, wr2 := pipe(t)
	queue(t, r, 2, func(s *SQE) { s.PrepTee(rd, wr2, 4, 0) })
	require.EqualValues(t, 4, one(t, r, 2).Res)
	for _, fd := range []int{rd, rd2} {
		buf := make([]byte, 8)
		queue(t, r, 3, func(s *SQE) { s.PrepRead(fd, buf, CurrentPosition) })
		require.EqualValues(t, 4, one(t, r, 3).Res)
		require.Equal(t, "3456", string(buf[:4]))
	}
}

func TestReadMultishot(t *testing.T) {
	need(t, "op.READ_MULTISHOT")
	r := newRing(t, Params{})
	_, mem := newBufRing(t, r, 4, 4)
	rd, wr := pipe(t)
	queue(t, r, 1, func(s *SQE) { s.PrepReadMultishot(rd, group, CurrentPosition) })
	for _, text := range []string{"ab", "cd"} {
		_, errno := r.SubmitAndReap()
		require.Zero(t, errno)
		_, err := unix.Write(wr, []byte(text))
		require.NoError(t, err)
		c := one(t, r, 1)
		require.EqualValues(t, 2, c.Res)
		require.True(t, c.More())
		id, ok := c.Buffer()
		require.True(t, ok)
		require.Equal(t, text, string(mem[int(id)*4:int(id)*4+2]))
	}
}
