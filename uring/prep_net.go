//go:build linux

package uring

import "golang.org/x/sys/unix"

// PrepAccept accepts one connection; the result is its descriptor. flags are SOCK_CLOEXEC and SOCK_NONBLOCK.
func (s *SQE) PrepAccept(fd int, flags uint32) {
	s.Opcode = OpAccept
	s.FD = int32(fd)
	s.OpFlags = flags
}

// PrepAcceptAddr is PrepAccept that also stores the peer's address. *n is the room at addr, then the length used.
func (s *SQE) PrepAcceptAddr(fd int, addr *unix.RawSockaddrAny, n *uint32, flags uint32) {
	s.PrepAccept(fd, flags)
	s.Addr = ptrAddr(addr)
	s.Off = ptrAddr(n)
}

// PrepAcceptMultishot accepts until cancelled or until an error; each result is a descriptor. 5.19.
func (s *SQE) PrepAcceptMultishot(fd int, flags uint32) {
	s.PrepAccept(fd, flags)
	s.IoPrio = AcceptMultishot
}

// PrepConnect connects to addr, a struct sockaddr as the kernel takes it.
func (s *SQE) PrepConnect(fd int, addr []byte) {
	s.Opcode = OpConnect
	s.FD = int32(fd)
	s.Addr = bytesAddr(addr)
	s.Off = uint64(len(addr))
}

// PrepBind binds to addr, a struct sockaddr as the kernel takes it. 6.11.
func (s *SQE) PrepBind(fd int, addr []byte) {
	s.Opcode = OpBind
	s.FD = int32(fd)
	s.Addr = bytesAddr(addr)
	s.Off = uint64(len(addr))
}

// PrepListen makes fd a listener. 6.11.
func (s *SQE) PrepListen(fd int, backlog int) {
	s.Opcode = OpListen
	s.FD = int32(fd)
	s.Len = uint32(backlog)
}

// PrepSocket makes a socket, as socket(2). 5.19.
func (s *SQE) PrepSocket(domain, typ, proto int) {
	s.Opcode = OpSocket
	s.FD = int32(domain)
	s.Off = uint64(typ)
	s.Len = uint32(proto)
}

// PrepShutdown is shutdown(2); how is SHUT_RD, SHUT_WR or SHUT_RDWR. 5.11.
func (s *SQE) PrepShutdown(fd int, how int) {
	s.Opcode = OpShutdown
	s.FD = int32(fd)
	s.Len = uint32(how)
}

// PrepRecv receives once into buf. Result 0 is end of file. flags are MSG flags.
func (s *SQE) PrepRecv(fd int, buf []byte, flags uint32) {
	s.Opcode = OpRecv
	s.FD = int32(fd)
	s.Addr = bytesAddr(buf)
	s.Len = uint32(len(buf))
	s.OpFlags = flags
}

// PrepRecvSelect receives once, at most n bytes (0: as the buffer holds), into a provided buffer of the group.
func (s *SQE) PrepRecvSelect(fd int, group uint16, n uint32) {
	s.Opcode = OpRecv
	s.FD = int32(fd)
	s.Len = n
	s.SetBufferGroup(group)
}

// PrepRecvMultishot receives until end of file, error, cancel or ENOBUFS, each time into a provided buffer of the
// group. Set PollFirst in IoPrio to wait rather than fail when the group is empty. 6.0.
func (s *SQE) PrepRecvMultishot(fd int, group uint16) {
	s.Opcode = OpRecv
	s.FD = int32(fd)
	s.IoPrio = RecvMultishot
	s.Flags |= SQEBufferSelect
	s.BufIndex = group
}

// PrepSend sends buf. A result below len(buf) is not an error; MSG_WAITALL in flags makes the kernel send the rest.
func (s *SQE) PrepSend(fd int, buf []byte, flags uint32) {
	s.Opcode = OpSend
	s.FD = int32(fd)
	s.Addr = bytesAddr(buf)
	s.Len = uint32(len(buf))
	s.OpFlags = flags
}

// PrepSendZC sends buf without copying. There are two completions: the result with More set, then one with Notif,
// which alone ends the use of buf; a failed one may have More as well. zcFlags go to IoPrio (SendZCReportUsage,
// PollFirst). 6.0.
func (s *SQE) PrepSendZC(fd int, buf []byte, flags uint32, zcFlags uint16) {
	s.PrepSend(fd, buf, flags)
	s.Opcode = OpSendZC
	s.IoPrio = zcFlags
}

// PrepSendZCFixed is PrepSendZC from a part of the registered buffer with the given index.
func (s *SQE) PrepSendZCFixed(fd int, buf []byte, index uint16, flags uint32, zcFlags uint16) {
	s.PrepSendZC(fd, buf, flags, zcFlags|FixedBuf)
	s.BufIndex = index
}

// SetSendAddr gives a send of a datagram socket its destination, a struct sockaddr. 6.0 (zero copy), 6.2 (send).
func (s *SQE) SetSendAddr(addr []byte) {
	s.Off = bytesAddr(addr)
	s.SpliceFDIn = addrLen(uint16(len(addr)))
}

// PrepSendMsg is sendmsg(2).
func (s *SQE) PrepSendMsg(fd int, msg *unix.Msghdr, flags uint32) {
	s.Opcode = OpSendMsg
	s.FD = int32(fd)
	s.Addr = ptrAddr(msg)
	s.Len = 1
	s.OpFlags = flags
}

// PrepSendMsgZC is PrepSendMsg without copying; completions as for PrepSendZC. 6.1.
func (s *SQE) PrepSendMsgZC(fd int, msg *unix.Msghdr, flags uint32) {
	s.PrepSendMsg(fd, msg, flags)
	s.Opcode = OpSendMsgZC
}

// PrepRecvMsg is recvmsg(2).
func (s *SQE) PrepRecvMsg(fd int, msg *unix.Msghdr, flags uint32) {
	s.Opcode = OpRecvMsg
	s.FD = int32(fd)
	s.Addr = ptrAddr(msg)
	s.Len = 1
	s.OpFlags = flags
}

// PrepRecvMsgMultishot receives messages into provided buffers of the group, each behind a struct
// io_uring_recvmsg_out; msg tells the room for name and control data. 6.0.
func (s *SQE) PrepRecvMsgMultishot(fd int, msg *unix.Msghdr, group uint16, flags uint32) {
	s.PrepRecvMsg(fd, msg, flags)
	s.IoPrio = RecvMultishot
	s.SetBufferGroup(group)
}
