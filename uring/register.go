//go:build linux

package uring

import "syscall"

// Register opcodes, io_uring_register(2).
const (
	registerBuffers         = 0
	unregisterBuffers       = 1
	registerFiles           = 2
	unregisterFiles         = 3
	registerEventFD         = 4
	unregisterEventFD       = 5
	registerFilesUpdate     = 6
	registerProbe           = 8
	registerPersonality     = 9
	unregisterPersonality   = 10
	registerRestrictions    = 11
	registerEnableRings     = 12
	registerFiles2          = 13
	registerBuffers2        = 15
	registerBuffersUpdate   = 16
	registerIOWQMaxWorkers  = 19
	registerRingFDs         = 20
	unregisterRingFDs       = 21
	registerPbufRing        = 22
	unregisterPbufRing      = 23
	registerSyncCancel      = 24
	registerFileAllocRange  = 25
	registerPbufStatus      = 26
	registerNAPI            = 27
	registerClock           = 29
	registerCloneBuffers    = 30
	registerSendMsgRing     = 31
	registerMemRegion       = 34
	registerQuery           = 35
	registerRsrcSparse      = 1
	opSupported             = 1
	restrictionRegisterOp   = 0
	restrictionSQEOp        = 1
	restrictionFlagsAllowed = 2
	restrictionFlagsNeeded  = 3
)

// OpSet tells which operations a kernel has.
type OpSet struct {
	// Last is the highest opcode that the kernel knows.
	Last uint8
	has  [256]bool
}

// Has reports whether the kernel performs op.
func (s *OpSet) Has(op uint8) bool { return s.has[op] }

// Probe asks the kernel for its operations. 5.6.
func (r *Ring) Probe() (*OpSet, error) {
	s, errno := r.probe()
	if errno != 0 {
		return nil, registerError("probe", errno)
	}
	return s, nil
}

// Restriction is one permission of a ring; what none permits is refused with EACCES.
type Restriction struct {
	kind  uint16
	value uint8
}

// AllowOp permits an operation.
func AllowOp(op uint8) Restriction { return Restriction{restrictionSQEOp, op} }

// AllowRegister permits an opcode of io_uring_register(2).
func AllowRegister(op uint8) Restriction { return Restriction{restrictionRegisterOp, op} }

// AllowUnregisterBufRing permits BufRing.Close, which is a registration too.
func AllowUnregisterBufRing() Restriction { return AllowRegister(unregisterPbufRing) }

// AllowUpdateBuffers permits UpdateBuffers.
func AllowUpdateBuffers() Restriction { return AllowRegister(registerBuffersUpdate) }

// AllowSQEFlags permits SQE flags.
func AllowSQEFlags(flags uint8) Restriction { return Restriction{restrictionFlagsAllowed, flags} }

// RequireSQEFlags demands SQE flags in each entry.
func RequireSQEFlags(flags uint8) Restriction { return Restriction{restrictionFlagsNeeded, flags} }

// RegisterRestrictions limits what the ring will do; once, on a ring made with SetupRDisabled. 5.10. They are defence
// in depth, not a sandbox.
func (r *Ring) RegisterRestrictions(rs []Restriction) error {
	if len(rs) == 0 {
		return &Error{Op: "register restrictions", Errno: syscall.EINVAL, Cause: "the list is empty"}
	}
	return r.registerRestrictions(rs)
}

// EnableRings starts a ring made with SetupRDisabled. With SetupSingleIssuer the calling thread becomes its owner.
func (r *Ring) EnableRings() error { return r.plainRegister("enable rings", registerEnableRings) }

// UnregisterBuffers releases the registered buffers.
func (r *Ring) UnregisterBuffers() error {
	return r.plainRegister("unregister buffers", unregisterBuffers)
}

// UnregisterFiles empties and removes the table of registered files; it may wait for operations that use them.
func (r *Ring) UnregisterFiles() error { return r.plainRegister("unregister files", unregisterFiles) }

// UnregisterEventFD ends RegisterEventFD.
func (r *Ring) UnregisterEventFD() error {
	return r.plainRegister("unregister eventfd", unregisterEventFD)
}

// RegisterPersonality keeps the caller's credentials and returns the number that SQE.Personality takes.
func (r *Ring) RegisterPersonality() (uint16, error) {
	id, errno := sysRegister(r.fd, registerPersonality, nil, 0)
	if errno != 0 {
		return 0, registerError("register personality", errno)
	}
	return uint16(id), nil
}

// UnregisterPersonality forgets credentials.
func (r *Ring) UnregisterPersonality(id uint16) error {
	if _, errno := sysRegister(r.fd, unregisterPersonality, nil, uint32(id)); errno != 0 {
		return registerError("unregister personality", errno)
	}
	return nil
}

// plainRegister is a registration without an argument.
func (r *Ring) plainRegister(what string, op uint32) error {
	if _, errno := sysRegister(r.fd, op, nil, 0); errno != 0 {
		return registerError(what, errno)
	}
	return nil
}
