package op

import "encoding/binary"

// MsgHead stands at the front of what a RecvMsg has received: struct io_uring_recvmsg_out of linux/io_uring.h, which a
// backend that is not io_uring writes as well. The rooms for name and control data follow, as long as the operation's
// Msg said, however much of them is used; then the payload.
type MsgHead struct {
	// Name and Control are how many bytes of those rooms are used. Name may exceed its room: then it was cut off.
	Name, Control uint32
	// Payload is the length of the payload as the kernel received it.
	Payload uint32
	// Flags are the MSG_ flags of recvmsg(2): MSG_TRUNC when the datagram was longer than the room for it, MSG_CTRUNC
	// when control data was lost.
	Flags uint32
}

// MsgHeadBytes is the length of a MsgHead in memory.
const MsgHeadBytes = 16

// ReadMsgHead reads the head of b, which must have MsgHeadBytes at least.
func ReadMsgHead(b []byte) MsgHead {
	_ = b[MsgHeadBytes-1]
	return MsgHead{
		Name: binary.NativeEndian.Uint32(b), Control: binary.NativeEndian.Uint32(b[4:]),
		Payload: binary.NativeEndian.Uint32(b[8:]), Flags: binary.NativeEndian.Uint32(b[12:]),
	}
}

// Put writes h to the front of b.
func (h MsgHead) Put(b []byte) {
	_ = b[MsgHeadBytes-1]
	binary.NativeEndian.PutUint32(b, h.Name)
	binary.NativeEndian.PutUint32(b[4:], h.Control)
	binary.NativeEndian.PutUint32(b[8:], h.Payload)
	binary.NativeEndian.PutUint32(b[12:], h.Flags)
}

// MsgParts is what a RecvMsg has received, in its parts, which are all slices of the lease's bytes.
type MsgParts struct {
	Name, Control, Payload []byte
	// Flags are MsgHead's.
	Flags uint32
}

// SplitMsg takes apart b, the bytes of a RecvMsg's lease, where Msg had room for name and control bytes. ok is false
// when b is too short to be that.
func SplitMsg(b []byte, name, control int) (p MsgParts, ok bool) {
	if len(b) < MsgHeadBytes+name+control {
		return p, false
	}
	h := ReadMsgHead(b)
	b = b[MsgHeadBytes:]
	p.Name = b[:min(int(h.Name), name)]
	p.Control = b[name : name+min(int(h.Control), control)]
	p.Payload = b[name+control:]
	p.Payload = p.Payload[:min(int(h.Payload), len(p.Payload))]
	p.Flags = h.Flags
	return p, true
}
