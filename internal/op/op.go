package op

import (
	"syscall"

	"github.com/ouro-io/ouro/buffers"
)

// Kind says what an Op does.
type Kind uint8

const (
	// Nop completes with 0.
	Nop Kind = iota
	// Accept is multishot: each completion carries a new descriptor (close-on-exec, non-blocking).
	Accept
	// Connect connects FD to the address in Buf.
	Connect
	// Recv is multishot: each completion carries a Lease with the bytes received. Result 0 is end of file.
	Recv
	// RecvInto receives once, into Buf. Result 0 is end of file.
	RecvInto
	// Send sends Buf. A result below len(Buf) is not an error.
	Send
	// Poll waits once until one of Events (EPOLLIN, EPOLLOUT …) holds; the result holds the events seen.
	Poll
	// Read reads once from the file FD at Off into Buf, as pread(2); an Off of -1 is the file's own position. Result 0 is
	// end of file. FD is a file or block device: what waits for somebody else is for RecvInto.
	Read
	// Write writes Buf once to the file FD at Off, as pwrite(2); an Off of -1 is the file's own position. A result below
	// len(Buf) is not an error.
	Write
	// Readv and Writev are Read and Write with Buf an array of struct iovec, as the kernel takes it.
	Readv
	Writev
	// Fsync is fsync(2) of FD, with Events 1 fdatasync(2).
	Fsync
	// RecvMsg is multishot recvmsg(2) for datagrams: each completion carries a Lease with a MsgHead, the room for the
	// name, the room for control data, and the payload; Result is the length of all. Of Msg only Namelen and Controllen
	// count, which are that room and must not change while in flight. A datagram that does not fit into what is left of
	// the buffer is cut off, and MsgHead.Flags says so.
	RecvMsg
	// RecvMsgInto is recvmsg(2) once, into what Msg points to; it fills in Msg's lengths and Flags as the system call
	// does. Events are the call's flags. A result of 0 may be an empty datagram.
	RecvMsgInto
	// SendMsg is sendmsg(2) once, of what Msg points to. Events are the call's flags. For datagrams: what is sent in
	// part of a stream is not continued.
	SendMsg
	// SendZC is Send without a copy, where the backend can do that. A success has two completions: one with More and the
	// count, after which the bytes are on their way, and the terminal one, after which nobody looks at Buf any more; its
	// Result is 1 if they were copied all the same. A backend that copies has the terminal one only, with the count, as
	// has a failure. Where the kernel cannot do it for this socket or for want of memory, the error says so
	// (EOPNOTSUPP, EINVAL, ENOMEM, ENOBUFS) and a Send will do.
	SendZC
	// SendMsgZC is SendZC of what Msg points to, gathered, on a stream. As there a smaller count is not an error, and what
	// Msg points to stays in use until the terminal completion.
	SendMsgZC

	kindCount
)

var kindNames = [kindCount]string{"nop", "accept", "connect", "recv", "recv-into", "send", "poll",
	"read", "write", "readv", "writev", "fsync", "recvmsg", "recvmsg-into", "sendmsg", "send-zc", "sendmsg-zc"}

// ZeroCopy reports whether k sends without a copy, which has two completions.
func (k Kind) ZeroCopy() bool { return k == SendZC || k == SendMsgZC }

// OnFile reports whether k is an operation on a file, which waits for a disk and for nobody else.
func (k Kind) OnFile() bool {
	switch k {
	case Read, Write, Readv, Writev, Fsync:
		return true
	}
	return false
}

func (k Kind) String() string {
	if k < kindCount {
		return kindNames[k]
	}
	return "unknown"
}

// Op is one asynchronous operation; the package comment tells its life and its owners.
type Op struct {
	// Done is told of each completion. It runs inside Backend.Poll, so it must be short and must not block; it may
	// submit and cancel on the same backend.
	Done Completer
	// Buf is what Send and Write send, what RecvInto and Read fill, or the peer of a Connect: a struct sockaddr as the
	// kernel takes it. For the kinds with Msg in their name it is set by SetMsg.
	Buf []byte
	// FD is the descriptor operated on.
	FD int32
	// Events is what a Poll waits for, as in epoll_ctl(2); the kinds for files have their flags in it, RecvMsgInto and
	// SendMsg the MSG_ flags.
	Events uint32
	// Off is the position in a file.
	Off int64
	// Kind says what is done.
	Kind Kind

	cancelled bool
	lent      bool
	ref       Ref
}

// InFlight reports whether o is owned by a backend. Only for the goroutine that runs the backend's worker.
func (o *Op) InFlight() bool { return o.ref != 0 }

// Cancelled reports whether Cancel was asked for since o was submitted.
func (o *Op) Cancelled() bool { return o.cancelled }

// MarkCancelled notes that a cancel was asked for; it reports false when o is idle or was marked before.
// It is for backends.
func (o *Op) MarkCancelled() bool {
	if o.ref == 0 || o.cancelled {
		return false
	}
	o.cancelled = true
	return true
}

// MarkLent notes that the result of o, a SendZC or SendMsgZC, is known, and that only its memory is still in use. It is for
// backends.
func (o *Op) MarkLent() { o.lent = true }

// Lent reports whether MarkLent was called since o was submitted.
func (o *Op) Lent() bool { return o.lent }

// Ref returns the identity that o has while in flight, 0 otherwise. It is for backends.
func (o *Op) Ref() Ref { return o.ref }

// Completion is what a backend reports of an Op.
type Completion struct {
	// Lease holds the bytes of a Recv that returned some. Who is told of the completion owns it and must release it.
	Lease buffers.Lease
	// Result is the count, descriptor or event set of a success.
	Result int32
	// Errno is 0 on success.
	//
	// A multishot ends with ENOBUFS when no buffer was left; arm it again once there are buffers. ECANCELED that
	// nobody asked for and EINTR mean "submit again" (Again reports this), never an error for the user.
	Errno syscall.Errno
	// More is set when a multishot goes on. It may end at any completion, successful ones too: an owner that
	// still wants data submits again.
	More bool
}

// Again reports whether the completion c of o means no more than "submit o again". It must be asked before o is
// submitted again.
func (o *Op) Again(c *Completion) bool {
	return c.Errno == syscall.EINTR || c.Errno == syscall.ECANCELED && !o.cancelled
}

// Completer is told of completions.
type Completer interface {
	// Complete is called once per completion, inside Backend.Poll. When !c.More the Op is idle again already.
	Complete(o *Op, c *Completion)
}
