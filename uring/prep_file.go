//go:build linux

package uring

import "golang.org/x/sys/unix"

// CurrentPosition as an offset reads or writes at the file's own position (FeatRWCurPos), and is what pipes and
// splice need.
const CurrentPosition int64 = -1

// PrepRead reads into buf at off.
func (s *SQE) PrepRead(fd int, buf []byte, off int64) {
	s.Opcode = OpRead
	s.FD = int32(fd)
	s.Addr = bytesAddr(buf)
	s.Len = uint32(len(buf))
	s.Off = uint64(off)
}

// PrepWrite writes buf at off.
func (s *SQE) PrepWrite(fd int, buf []byte, off int64) {
	s.PrepRead(fd, buf, off)
	s.Opcode = OpWrite
}

// PrepReadFixed reads into buf, which lies in the registered buffer with the given index.
func (s *SQE) PrepReadFixed(fd int, buf []byte, off int64, index uint16) {
	s.PrepRead(fd, buf, off)
	s.Opcode = OpReadFixed
	s.BufIndex = index
}

// PrepWriteFixed writes buf, which lies in the registered buffer with the given index.
func (s *SQE) PrepWriteFixed(fd int, buf []byte, off int64, index uint16) {
	s.PrepRead(fd, buf, off)
	s.Opcode = OpWriteFixed
	s.BufIndex = index
}

// PrepReadv reads into the vectors at off, as preadv2(2). RWF flags go to OpFlags.
func (s *SQE) PrepReadv(fd int, iovs []unix.Iovec, off int64) {
	s.Opcode = OpReadv
	s.FD = int32(fd)
	s.Addr = sliceAddr(iovs)
	s.Len = uint32(len(iovs))
	s.Off = uint64(off)
}

// PrepWritev writes the vectors at off, as pwritev2(2). RWF flags go to OpFlags.
func (s *SQE) PrepWritev(fd int, iovs []unix.Iovec, off int64) {
	s.PrepReadv(fd, iovs, off)
	s.Opcode = OpWritev
}

// PrepReadMultishot reads from a pipe or another pollable file until cancelled, each time into a provided buffer of
// the group. 6.7.
func (s *SQE) PrepReadMultishot(fd int, group uint16, off int64) {
	s.Opcode = OpReadMultishot
	s.FD = int32(fd)
	s.Off = uint64(off)
	s.SetBufferGroup(group)
}

// PrepFsync is fsync(2), or fdatasync(2) with FsyncDatasync.
func (s *SQE) PrepFsync(fd int, flags uint32) {
	s.Opcode = OpFsync
	s.FD = int32(fd)
	s.OpFlags = flags
}

// PrepFallocate is fallocate(2). 5.6.
func (s *SQE) PrepFallocate(fd int, mode uint32, off, n int64) {
	s.Opcode = OpFallocate
	s.FD = int32(fd)
	s.Off = uint64(off)
	s.Addr = uint64(n)
	s.Len = mode
}

// PrepFtruncate is ftruncate(2). 6.9.
func (s *SQE) PrepFtruncate(fd int, size int64) {
	s.Opcode = OpFtruncate
	s.FD = int32(fd)
	s.Off = uint64(size)
}

// PrepOpenat is openat(2); path is a NUL-terminated string (unix.BytePtrFromString). 5.6. Add O_CLOEXEC.
func (s *SQE) PrepOpenat(dirFD int, path *byte, flags uint32, mode uint32) {
	s.Opcode = OpOpenat
	s.FD = int32(dirFD)
	s.Addr = ptrAddr(path)
	s.Len = mode
	s.OpFlags = flags
}

// PrepOpenat2 is openat2(2); path is NUL-terminated. 5.6.
func (s *SQE) PrepOpenat2(dirFD int, path *byte, how *unix.OpenHow) {
	s.Opcode = OpOpenat2
	s.FD = int32(dirFD)
	s.Addr = ptrAddr(path)
	s.Len = unix.SizeofOpenHow
	s.Off = ptrAddr(how)
}

// PrepClose closes a descriptor. 5.6.
func (s *SQE) PrepClose(fd int) {
	s.Opcode = OpClose
	s.FD = int32(fd)
}

// PrepCloseDirect empties a slot of the registered files. 5.15.
func (s *SQE) PrepCloseDirect(slot uint32) {
	s.Opcode = OpClose
	s.SetFileIndex(slot)
}

// PrepStatx is statx(2); path is NUL-terminated. 5.6.
func (s *SQE) PrepStatx(dirFD int, path *byte, flags uint32, mask uint32, st *unix.Statx_t) {
	s.Opcode = OpStatx
	s.FD = int32(dirFD)
	s.Addr = ptrAddr(path)
	s.Len = mask
	s.Off = ptrAddr(st)
	s.OpFlags = flags
}

// PrepFadvise is posix_fadvise(2). 5.6.
func (s *SQE) PrepFadvise(fd int, off int64, n uint32, advice uint32) {
	s.Opcode = OpFadvise
	s.FD = int32(fd)
	s.Off = uint64(off)
	s.Len = n
	s.OpFlags = advice
}

// PrepUnlinkat is unlinkat(2); path is NUL-terminated. 5.11.
func (s *SQE) PrepUnlinkat(dirFD int, path *byte, flags uint32) {
	s.Opcode = OpUnlinkat
	s.FD = int32(dirFD)
	s.Addr = ptrAddr(path)
	s.OpFlags = flags
}

// PrepRenameat is renameat2(2); both paths are NUL-terminated. 5.11.
func (s *SQE) PrepRenameat(oldDirFD int, oldPath *byte, newDirFD int, newPath *byte, flags uint32) {
	s.Opcode = OpRenameat
	s.FD = int32(oldDirFD)
	s.Addr = ptrAddr(oldPath)
	s.Len = uint32(int32(newDirFD))
	s.Off = ptrAddr(newPath)
	s.OpFlags = flags
}

// PrepMkdirat is mkdirat(2); path is NUL-terminated. 5.15.
func (s *SQE) PrepMkdirat(dirFD int, path *byte, mode uint32) {
	s.Opcode = OpMkdirat
	s.FD = int32(dirFD)
	s.Addr = ptrAddr(path)
	s.Len = mode
}

// PrepSplice moves n bytes between two descriptors, one of them a pipe, as splice(2). Offsets of pipes are
// CurrentPosition. 5.7. It runs on an io-wq thread.
func (s *SQE) PrepSplice(in int, offIn int64, out int, offOut int64, n uint32, flags uint32) {
	s.Opcode = OpSplice
	s.FD = int32(out)
	s.Off = uint64(offOut)
	s.Addr = uint64(offIn)
	s.Len = n
	s.OpFlags = flags
	s.SpliceFDIn = int32(in)
}

// PrepTee copies n bytes between two pipes, as tee(2). 5.8. It runs on an io-wq thread.
func (s *SQE) PrepTee(in, out int, n uint32, flags uint32) {
	s.Opcode = OpTee
	s.FD = int32(out)
	s.Len = n
	s.OpFlags = flags
	s.SpliceFDIn = int32(in)
}
