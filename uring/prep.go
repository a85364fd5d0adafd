//go:build linux

package uring

import (
	"encoding/binary"
	"time"
)

// The Prep functions fill an entry that GetSQE has just returned (zeroed); they leave Flags, UserData and
// Personality to the caller except where they say so. None of them allocates or fails: what is wrong with an entry is
// told by its completion. What they point to stays the kernel's until the terminal completion (package comment).

// Timespec is struct __kernel_timespec: seconds and nanoseconds, 64 bits each on every architecture.
type Timespec struct {
	Sec  int64
	Nsec int64
}

// TimespecOf splits d; a negative d becomes 0.
func TimespecOf(d time.Duration) Timespec {
	d = max(d, 0)
	return Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
}

// PrepNop completes with 0.
func (s *SQE) PrepNop() { s.Opcode = OpNop; s.FD = -1 }

// PrepCancel ends the operation that has the given user data. Result 0: found; ENOENT: none; EALREADY: too late to
// stop it. With CancelAll the result is how many were found. flags are Cancel flags.
func (s *SQE) PrepCancel(userData uint64, flags uint32) {
	s.Opcode = OpAsyncCancel
	s.FD = -1
	s.Addr = userData
	s.OpFlags = flags
}

// PrepCancelFD ends an operation on fd, or all of them with CancelAll. 5.19.
func (s *SQE) PrepCancelFD(fd int, flags uint32) {
	s.Opcode = OpAsyncCancel
	s.FD = int32(fd)
	s.OpFlags = flags | CancelFD
}

// PrepPollAdd waits once until one of events (EPOLLIN …) holds; the result is the mask seen.
func (s *SQE) PrepPollAdd(fd int, events uint32) {
	s.Opcode = OpPollAdd
	s.FD = int32(fd)
	s.OpFlags = pollMask(events)
}

// PrepPollMultishot reports each time that one of events comes to hold. 5.13.
func (s *SQE) PrepPollMultishot(fd int, events uint32) {
	s.PrepPollAdd(fd, events)
	s.Len = PollMultishot
}

// PrepPollRemove ends the poll that has the given user data.
func (s *SQE) PrepPollRemove(userData uint64) {
	s.Opcode = OpPollRemove
	s.FD = -1
	s.Addr = userData
}

// PrepTimeout completes with ETIME after ts, or with 0 once count other completions were posted (count 0: never).
// flags are Timeout flags.
func (s *SQE) PrepTimeout(ts *Timespec, count uint32, flags uint32) {
	s.Opcode = OpTimeout
	s.FD = -1
	s.Addr = ptrAddr(ts)
	s.Len = 1
	s.Off = uint64(count)
	s.OpFlags = flags
}

// PrepTimeoutRemove ends the timeout that has the given user data; it completes with ECANCELED.
func (s *SQE) PrepTimeoutRemove(userData uint64) {
	s.Opcode = OpTimeoutRemove
	s.FD = -1
	s.Addr = userData
}

// PrepTimeoutUpdate gives the timeout that has the given user data another time. 5.11.
func (s *SQE) PrepTimeoutUpdate(userData uint64, ts *Timespec, flags uint32) {
	s.Opcode = OpTimeoutRemove
	s.FD = -1
	s.Addr = userData
	s.Off = ptrAddr(ts)
	s.OpFlags = flags | TimeoutUpdate
}

// PrepLinkTimeout cancels the entry before it, which carries SQEIOLink, after ts.
func (s *SQE) PrepLinkTimeout(ts *Timespec, flags uint32) {
	s.Opcode = OpLinkTimeout
	s.FD = -1
	s.Addr = ptrAddr(ts)
	s.Len = 1
	s.OpFlags = flags
}

// PrepMsgRing posts a completion with the given user data and result on another ring. 5.18. A ring that is still
// disabled answers EBADFD, one whose queue overflows EOVERFLOW.
func (s *SQE) PrepMsgRing(ringFD int, userData uint64, res int32) {
	s.Opcode = OpMsgRing
	s.FD = int32(ringFD)
	s.Len = uint32(res)
	s.Off = userData
}

// PrepMsgRingFlags is PrepMsgRing with the flags that the other completion shall have. 6.3.
func (s *SQE) PrepMsgRingFlags(ringFD int, userData uint64, res int32, cqeFlags uint32) {
	s.PrepMsgRing(ringFD, userData, res)
	s.OpFlags = MsgRingFlagsPass
	s.SpliceFDIn = int32(cqeFlags)
}

// PrepMsgRingFD passes the registered file in slot from to another ring's slot to (FileIndexAlloc: any), where a
// completion with the given user data is posted. 6.0.
func (s *SQE) PrepMsgRingFD(ringFD int, from uint32, to uint32, userData uint64, flags uint32) {
	s.Opcode = OpMsgRing
	s.FD = int32(ringFD)
	s.Addr = msgSendFD
	s.Off = userData
	s.Addr3 = uint64(from)
	s.OpFlags = flags
	s.SetFileIndex(to)
}

// PrepFutexWait waits while *word == expected, as FUTEX2 does with a private 32-bit futex. EAGAIN: it differed
// already. 6.7.
func (s *SQE) PrepFutexWait(word *uint32, expected uint32) {
	s.Opcode = OpFutexWait
	s.FD = futexSize32 | futexPrivate
	s.Addr = ptrAddr(word)
	s.Off = uint64(expected)
	s.Addr3 = ^uint64(0) >> 32 // FUTEX_BITSET_MATCH_ANY
}

// PrepFutexWake wakes up to n waiters of the private futex word; the result is their number. 6.7.
func (s *SQE) PrepFutexWake(word *uint32, n uint32) {
	s.Opcode = OpFutexWake
	s.FD = futexSize32 | futexPrivate
	s.Addr = ptrAddr(word)
	s.Off = uint64(n)
	s.Addr3 = ^uint64(0) >> 32
}

// PrepFilesUpdate replaces registered files from slot offset on; -1 empties a slot. The result is how many.
func (s *SQE) PrepFilesUpdate(fds []int32, offset uint32) {
	s.Opcode = OpFilesUpdate
	s.FD = -1
	s.Addr = sliceAddr(fds)
	s.Len = uint32(len(fds))
	s.Off = uint64(offset)
}

// PrepFixedFDInstall makes an ordinary close-on-exec descriptor of the registered file in slot. 6.8.
func (s *SQE) PrepFixedFDInstall(slot uint32) {
	s.Opcode = OpFixedFDInstall
	s.FD = int32(slot)
	s.Flags |= SQEFixedFile
}

// SetFileIndex makes an operation that creates a descriptor put it into a slot of the registered files instead, or
// into any free slot (FileIndexAlloc, 5.19: the result is the slot). With OpClose it names the slot to empty.
func (s *SQE) SetFileIndex(slot uint32) {
	if slot == FileIndexAlloc {
		s.SpliceFDIn = -1
		return
	}
	s.SpliceFDIn = int32(slot + 1)
}

// SetBufferGroup lets the kernel pick a provided buffer of the group.
func (s *SQE) SetBufferGroup(group uint16) {
	s.Flags |= SQEBufferSelect
	s.BufIndex = group
}

// pollMask orders the halves of a poll mask as the kernel reads them: poll32_events is word-reversed on big endian.
func pollMask(events uint32) uint32 {
	var b [4]byte
	binary.NativeEndian.PutUint16(b[:2], uint16(events))
	binary.NativeEndian.PutUint16(b[2:], uint16(events>>16))
	return binary.NativeEndian.Uint32(b[:])
}

// addrLen places addr_len, the first two bytes of the union that SpliceFDIn names.
func addrLen(n uint16) int32 {
	var b [4]byte
	binary.NativeEndian.PutUint16(b[:2], n)
	return int32(binary.NativeEndian.Uint32(b[:]))
}
