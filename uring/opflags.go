//go:build linux

package uring

// Socket flags (SQE.IoPrio of accept, send, recv and their relatives).
const (
	// PollFirst waits for readiness before the first attempt.
	PollFirst uint16 = 1 << 0
	// RecvMultishot goes on receiving; needs SQEBufferSelect.
	RecvMultishot uint16 = 1 << 1
	// FixedBuf uses the registered buffer BufIndex (zero-copy send).
	FixedBuf uint16 = 1 << 2
	// SendZCReportUsage makes the notification tell whether data was copied (SendZCCopied).
	SendZCReportUsage uint16 = 1 << 3
	// Bundle takes several provided buffers in one operation (FeatRecvSendBundle).
	Bundle uint16 = 1 << 4

	// AcceptMultishot goes on accepting.
	AcceptMultishot uint16 = 1 << 0
	// AcceptDontWait answers EAGAIN in place of waiting. 6.10.
	AcceptDontWait uint16 = 1 << 1
	// AcceptPollFirst waits for readiness before the first attempt. 6.10.
	AcceptPollFirst uint16 = 1 << 2
)

// Poll flags (SQE.Len of poll operations).
const (
	// PollMultishot goes on reporting.
	PollMultishot uint32 = 1 << 0
	// PollUpdateEvents changes the mask of a poll in flight.
	PollUpdateEvents uint32 = 1 << 1
	// PollUpdateUserData changes its user data.
	PollUpdateUserData uint32 = 1 << 2
	// PollLevel reports level-triggered.
	PollLevel uint32 = 1 << 3
)

// Cancel flags (SQE.OpFlags of OpAsyncCancel, and SyncCancel).
const (
	// CancelAll cancels every match; the result is their number.
	CancelAll uint32 = 1 << 0
	// CancelFD matches the descriptor instead of the user data.
	CancelFD uint32 = 1 << 1
	// CancelAny matches everything.
	CancelAny uint32 = 1 << 2
	// CancelFDFixed: the descriptor is a slot of the registered files.
	CancelFDFixed uint32 = 1 << 3
	// CancelUserData matches the user data too, beside other keys. 6.6.
	CancelUserData uint32 = 1 << 4
	// CancelOp matches the opcode, which is in Len. 6.6.
	CancelOp uint32 = 1 << 5
)

// Timeout flags (SQE.OpFlags of timeouts).
const (
	// TimeoutAbs: the time is absolute, on CLOCK_MONOTONIC unless another clock is chosen.
	TimeoutAbs uint32 = 1 << 0
	// TimeoutUpdate changes a timeout in flight.
	TimeoutUpdate uint32 = 1 << 1
	// TimeoutBoottime uses CLOCK_BOOTTIME.
	TimeoutBoottime uint32 = 1 << 2
	// TimeoutRealtime uses CLOCK_REALTIME.
	TimeoutRealtime uint32 = 1 << 3
	// TimeoutLinkUpdate changes a link timeout in flight.
	TimeoutLinkUpdate uint32 = 1 << 4
	// TimeoutETimeSuccess: expiry does not break a link chain. 5.16.
	TimeoutETimeSuccess uint32 = 1 << 5
	// TimeoutMultishot goes on expiring. 6.4.
	TimeoutMultishot uint32 = 1 << 6
)

// Other operation flags.
const (
	// FsyncDatasync makes OpFsync do fdatasync(2).
	FsyncDatasync uint32 = 1 << 0
	// SpliceFDInFixed: splice's source is a slot of the registered files.
	SpliceFDInFixed uint32 = 1 << 31

	// MsgRingCQESkip posts no completion on the target ring (descriptor passing only).
	MsgRingCQESkip uint32 = 1 << 0
	// MsgRingFlagsPass takes the target completion's flags from SpliceFDIn. 6.3.
	MsgRingFlagsPass uint32 = 1 << 1

	msgSendFD = 1

	futexSize32  = 2
	futexPrivate = 128
)

// FileIndexAlloc lets the kernel pick the slot of a direct descriptor; the completion's result is the slot.
const FileIndexAlloc uint32 = ^uint32(0)
