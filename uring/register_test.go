//go:build linux

package uring

import (
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestRestrictions(t *testing.T) {
	need(t, "register.RESTRICTIONS")
	r := newRing(t, Params{Flags: SetupRDisabled})
	require.ErrorIs(t, r.RegisterRestrictions(nil), syscall.EINVAL)
	require.NoError(t, r.RegisterRestrictions([]Restriction{
		AllowOp(OpNop), AllowRegister(registerProbe), AllowSQEFlags(SQEIOLink)}))
	require.NoError(t, r.EnableRings())
	queue(t, r, 1, (*SQE).PrepNop)
	require.Zero(t, one(t, r, 1).Res)
	queue(t, r, 2, func(s *SQE) { s.PrepPollAdd(0, unix.POLLIN) })
	require.Equal(t, res(syscall.EACCES), one(t, r, 2).Res)
	queue(t, r, 3, func(s *SQE) { s.PrepNop(); s.Flags = SQEIODrain })
	require.Equal(t, res(syscall.EACCES), one(t, r, 3).Res)
	_, err := r.Probe()
	require.NoError(t, err)
	err = r.RegisterFilesSparse(1)
	require.ErrorIs(t, err, syscall.EACCES)
	require.ErrorContains(t, err, "restrictions")

	open := newRing(t, Params{})
	require.ErrorIs(t, open.RegisterRestrictions([]Restriction{AllowOp(OpNop)}), syscall.EBADFD)
}

func TestRequiredFlags(t *testing.T) {
	need(t, "register.RESTRICTIONS")
	r := newRing(t, Params{Flags: SetupRDisabled})
	require.NoError(t, r.RegisterRestrictions([]Restriction{
		AllowOp(OpNop), AllowSQEFlags(SQEAsync), RequireSQEFlags(SQEAsync)}))
	require.NoError(t, r.EnableRings())
	queue(t, r, 1, (*SQE).PrepNop)
	require.Equal(t, res(syscall.EACCES), one(t, r, 1).Res)
	queue(t, r, 2, func(s *SQE) { s.PrepNop(); s.Flags = SQEAsync })
	require.Zero(t, one(t, r, 2).Res)
}

func TestProbeOps(t *testing.T) {
	r := newRing(t, Params{})
	ops, err := r.Probe()
	require.NoError(t, err)
	require.True(t, ops.Has(OpNop))
	require.True(t, ops.Has(OpRecv))
	require.False(t, ops.Has(255))
	require.True(t, ops.Has(ops.Last))
	require.False(t, ops.Has(ops.Last+1))
}

// Places of a sparse table are filled and emptied; what is empty is refused.
func TestSparseBuffers(t *testing.T) {
	need(t, "register.FILES_SPARSE") // of the same kernel
	r := newRing(t, Params{})
	mem, err := mapAnonymous(8192)
	require.NoError(t, err)
	defer unix.Munmap(mem)
	_, err = r.UpdateBuffers(0, [][]byte{mem})
	require.ErrorIs(t, err, syscall.ENXIO)
	require.NoError(t, r.RegisterBuffersSparse(4))
	fd, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	read := func(at uint16) int32 {
		copy(mem[4096:], "full")
		queue(t, r, 1, func(s *SQE) { s.PrepReadFixed(fd, mem[4096:4100], 0, at) })
		return one(t, r, 1).Res
	}
	require.Equal(t, res(syscall.EFAULT), read(2))
	n, err := r.UpdateBuffers(2, [][]byte{mem[4096:], mem[:4096]})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.EqualValues(t, 4, read(2))
	require.Zero(t, mem[4096])
	require.Equal(t, res(syscall.EFAULT), read(3), "another part of the memory")
	_, err = r.UpdateBuffers(2, [][]byte{nil})
	require.NoError(t, err)
	require.Equal(t, res(syscall.EFAULT), read(2))
	_, err = r.UpdateBuffers(4, [][]byte{mem})
	require.ErrorIs(t, err, syscall.EINVAL)
}

func TestRegisteredBuffers(t *testing.T) {
	r := newRing(t, Params{})
	mem, err := mapAnonymous(8192)
	require.NoError(t, err)
	defer unix.Munmap(mem)
	require.ErrorIs(t, r.RegisterBuffers(nil), syscall.EINVAL)
	require.NoError(t, r.RegisterBuffers([][]byte{mem[:4096], mem[4096:]}))
	path := cpath(t, filepath.Join(t.TempDir(), "file"))
	queue(t, r, 1, func(s *SQE) {
		s.PrepOpenat(unix.AT_FDCWD, path, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	})
	fd := int(one(t, r, 1).Res)
	require.Positive(t, fd)
	closeLater(t, fd)
	copy(mem[5000:], "fixed")
	queue(t, r, 2, func(s *SQE) { s.PrepWriteFixed(fd, mem[5000:5005], 0, 1) })
	require.EqualValues(t, 5, one(t, r, 2).Res)
	queue(t, r, 3, func(s *SQE) { s.PrepReadFixed(fd, mem[8:13], 0, 0) })
	require.EqualValues(t, 5, one(t, r, 3).Res)
	require.Equal(t, "fixed", string(mem[8:13]))
	queue(t, r, 4, func(s *SQE) { s.PrepReadFixed(fd, mem[8:13], 0, 1) })
	require.Equal(t, res(syscall.EFAULT), one(t, r, 4).Res, "outside the buffer named")
	require.NoError(t, r.UnregisterBuffers())
	require.ErrorIs(t, r.UnregisterBuffers(), syscall.ENXIO)
}

func TestRegisteredFiles(t *testing.T) {
	r := newRing(t, Params{})
	fd := eventFD(t)
	require.ErrorIs(t, r.RegisterFiles(nil), syscall.EINVAL)
	require.NoError(t, r.RegisterFiles([]int32{-1, int32(fd)}))
	poll := func(slot int, flags uint8) int32 {
		queue(t, r, 1, func(s *SQE) { s.PrepPollAdd(slot, unix.POLLOUT); s.Flags |= flags })
		return one(t, r, 1).Res
	}
	require.EqualValues(t, unix.POLLOUT, poll(1, SQEFixedFile))
	require.Equal(t, res(syscall.EBADF), poll(0, SQEFixedFile))
	n, err := r.UpdateFiles(0, []int32{int32(fd), -1})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.EqualValues(t, unix.POLLOUT, poll(0, SQEFixedFile))
	require.Equal(t, res(syscall.EBADF), poll(1, SQEFixedFile))
	fds := []int32{int32(fd)}
	queue(t, r, 2, func(s *SQE) { s.PrepFilesUpdate(fds, 1) })
	require.EqualValues(t, 1, one(t, r, 2).Res)
	require.EqualValues(t, unix.POLLOUT, poll(1, SQEFixedFile))
	runtime.KeepAlive(fds)
	n, err = r.UpdateFiles(0, nil)
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, r.UnregisterFiles())
}

// Direct descriptors: picked by the kernel, confined to a range, installed, closed by slot.
func TestDirectDescriptors(t *testing.T) {
	need(t, "use.direct-alloc")
	r := newRing(t, Params{})
	require.NoError(t, r.RegisterFilesSparse(4))
	socket := func(slot uint32) int32 {
		queue(t, r, 1, func(s *SQE) { s.PrepSocket(unix.AF_UNIX, unix.SOCK_STREAM, 0); s.SetFileIndex(slot) })
		return one(t, r, 1).Res
	}
	require.Zero(t, socket(FileIndexAlloc))
	require.EqualValues(t, 1, socket(FileIndexAlloc))
	require.Zero(t, socket(3), "a slot that was named answers 0")
	require.EqualValues(t, 2, socket(FileIndexAlloc))
	require.Equal(t, res(syscall.ENFILE), socket(FileIndexAlloc))
	queue(t, r, 2, func(s *SQE) { s.PrepCloseDirect(3) })
	require.Zero(t, one(t, r, 2).Res)
	queue(t, r, 3, func(s *SQE) { s.PrepCloseDirect(3) })
	require.Equal(t, res(syscall.EBADF), one(t, r, 3).Res)
	if res, _ := ProbeFeature("register.FILE_ALLOC_RANGE"); res.State == Yes {
		require.NoError(t, r.RegisterFileAllocRange(3, 1))
		require.EqualValues(t, 3, socket(FileIndexAlloc))
		require.ErrorIs(t, r.RegisterFileAllocRange(3, 9), syscall.EINVAL)
	}
	need(t, "op.FIXED_FD_INSTALL")
	queue(t, r, 4, func(s *SQE) { s.PrepFixedFDInstall(0) })
	fd := int(one(t, r, 4).Res)
	require.Positive(t, fd)
	closeLater(t, fd)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.FD_CLOEXEC)
}

func TestIOWQMaxWorkers(t *testing.T) {
	need(t, "register.IOWQ_MAX_WORKERS")
	lockThread(t) // another thread is told zeros
	r := newRing(t, Params{})
	_, _, err := r.RegisterIOWQMaxWorkers(2, 3)
	require.NoError(t, err)
	bounded, unbounded, err := r.RegisterIOWQMaxWorkers(0, 0)
	require.NoError(t, err)
	require.EqualValues(t, 2, bounded)
	require.EqualValues(t, 3, unbounded)
}

func TestEventFD(t *testing.T) {
	r := newRing(t, Params{})
	fd := eventFD(t)
	require.NoError(t, r.RegisterEventFD(fd))
	queue(t, r, 1, (*SQE).PrepNop)
	one(t, r, 1)
	var count [8]byte
	_, err := unix.Read(fd, count[:])
	require.NoError(t, err)
	require.NoError(t, r.UnregisterEventFD())
	queue(t, r, 2, (*SQE).PrepNop)
	one(t, r, 2)
	_, err = unix.Read(fd, count[:])
	require.ErrorIs(t, err, syscall.EAGAIN)
}

func TestPersonality(t *testing.T) {
	r := newRing(t, Params{})
	id, err := r.RegisterPersonality()
	require.NoError(t, err)
	queue(t, r, 1, func(s *SQE) { s.PrepNop(); s.Personality = id })
	require.Zero(t, one(t, r, 1).Res)
	require.NoError(t, r.UnregisterPersonality(id))
	queue(t, r, 2, func(s *SQE) { s.PrepNop(); s.Personality = id })
	require.Equal(t, res(syscall.EINVAL), one(t, r, 2).Res)
	require.Error(t, r.UnregisterPersonality(id))
}
