//go:build linux

package op

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetMsg gives a RecvMsg, RecvMsgInto, SendMsg or SendMsgZC its header. The operation keeps h, and what h points to, reachable.
//
// The header travels in Buf, since every connection carries an Op and few are of these kinds.
func (o *Op) SetMsg(h *unix.Msghdr) {
	// SAFETY: the slice covers exactly *h. The collector follows the pointers inside by the memory's own type.
	o.Buf = unsafe.Slice((*byte)(unsafe.Pointer(h)), unix.SizeofMsghdr)
}

// Msg is what SetMsg has set.
func (o *Op) Msg() *unix.Msghdr {
	_ = o.Buf[unix.SizeofMsghdr-1]
	// SAFETY: SetMsg made Buf of a Msghdr, so the size (checked above) and the alignment are right.
	return (*unix.Msghdr)(unsafe.Pointer(&o.Buf[0]))
}
