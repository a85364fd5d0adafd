//go:build linux

package uring

// SQE is a submission queue entry, struct io_uring_sqe of linux/io_uring.h: 64 bytes, shared with the kernel. Its
// unions are named after their first use; the comments tell the others.
type SQE struct {
	// Opcode is one of the Op constants.
	Opcode uint8
	// Flags are SQE flags: SQEFixedFile, SQEIOLink …
	Flags uint8
	// IoPrio is a priority for files; socket operations keep their own flags here (RecvMultishot, PollFirst …).
	IoPrio uint16
	// FD is a descriptor, or a slot of the registered files with SQEFixedFile.
	FD int32
	// Off is a file offset; a second address, a user data or a length for some operations.
	Off uint64
	// Addr is the address of a buffer, path, header or timespec; a user data for cancels.
	Addr uint64
	// Len is a length, a count of vectors or a mode.
	Len uint32
	// OpFlags are the operation's own flags (MSG_*, O_*, TimeoutAbs, CancelAll …).
	OpFlags uint32
	// UserData comes back in each CQE of this entry.
	UserData uint64
	// BufIndex is a registered buffer's index, or the buffer group with SQEBufferSelect.
	BufIndex uint16
	// Personality is a registered credential, 0 for the submitter's own.
	Personality uint16
	// SpliceFDIn is splice's source; for operations that create a descriptor the target slot plus one (SetFileIndex).
	SpliceFDIn int32
	// Addr3 is a third address or value.
	Addr3 uint64
	_     uint64
}

// CQE is a completion queue entry, struct io_uring_cqe of linux/io_uring.h: 16 bytes.
type CQE struct {
	// UserData is the entry's that completed.
	UserData uint64
	// Res is the result: negative is minus an errno.
	Res int32
	// Flags are the CQE flags; the methods decode them.
	Flags uint32
}

// More reports whether the same SQE will post more completions. Without it this one is the last.
func (c *CQE) More() bool { return c.Flags&CQEMore != 0 }

// Buffer returns the id of the provided buffer that the kernel picked; ok is false when it picked none.
func (c *CQE) Buffer() (id uint16, ok bool) {
	return uint16(c.Flags >> cqeBufferShift), c.Flags&CQEBuffer != 0
}

// BufferMore reports whether the kernel goes on filling the same buffer (incremental buffer rings only).
func (c *CQE) BufferMore() bool { return c.Flags&CQEBufferMore != 0 }

// Notif reports whether this is the notification of a zero-copy send: its memory may be used again.
func (c *CQE) Notif() bool { return c.Flags&CQENotif != 0 }

// SockNonEmpty reports whether the socket held more data after this receive.
func (c *CQE) SockNonEmpty() bool { return c.Flags&CQESockNonEmpty != 0 }

// SQE flags (SQE.Flags).
const (
	// SQEFixedFile: FD is a slot of the registered files.
	SQEFixedFile uint8 = 1 << iota
	// SQEIODrain: start after everything submitted before has completed.
	SQEIODrain
	// SQEIOLink: the next entry starts when this one has succeeded.
	SQEIOLink
	// SQEIOHardlink: as SQEIOLink, and a failure does not break the chain.
	SQEIOHardlink
	// SQEAsync: run on an io-wq worker thread at once.
	SQEAsync
	// SQEBufferSelect: the kernel picks a buffer of group BufIndex.
	SQEBufferSelect
	// SQECQESkipSuccess: post no completion on success (FeatCQESkip).
	SQECQESkipSuccess
)

// CQE flags (CQE.Flags). The upper 16 bits are the buffer id where CQEBuffer is set.
const (
	// CQEBuffer: a provided buffer was used.
	CQEBuffer uint32 = 1 << 0
	// CQEMore: the same SQE will post more.
	CQEMore uint32 = 1 << 1
	// CQESockNonEmpty: more data waits in the socket.
	CQESockNonEmpty uint32 = 1 << 2
	// CQENotif: notification of a zero-copy send.
	CQENotif uint32 = 1 << 3
	// CQEBufferMore: the buffer will be used again (incremental buffer rings).
	CQEBufferMore uint32 = 1 << 4

	cqeBufferShift = 16
)

// SendZCCopied is set in the Res of a notification when data was copied after all, if SendZCReportUsage was asked
// for.
const SendZCCopied uint32 = 1 << 31
