//go:build linux

package uring

import (
	"fmt"
	"math/bits"
	"syscall"
)

const (
	defaultEntries = 128
	maxEntries     = 32768
	maxCQEntries   = 65536
)

// Params configure Setup. The zero value makes a plain ring of 128 entries.
type Params struct {
	// Entries is the size of the submission queue, rounded up to a power of two by the kernel. 0: 128. Limit 32768.
	Entries uint32
	// CQEntries is the size of the completion queue, rounded up likewise; at least Entries. 0: twice Entries. Limit
	// 65536. A multishot operation posts many completions, so servers want several times Entries.
	CQEntries uint32
	// Flags are asked for exactly as given. With SetupClamp sizes above the limits are cut by the kernel.
	Flags SetupFlags
	// AttachFD is the ring whose worker pool is shared; only with SetupAttachWQ.
	AttachFD int
}

// kernelParams is struct io_uring_params.
type kernelParams struct {
	sqEntries    uint32
	cqEntries    uint32
	flags        uint32
	sqThreadCPU  uint32
	sqThreadIdle uint32
	features     uint32
	wqFD         uint32
	resv         [3]uint32
	sqOff        sqOffsets
	cqOff        cqOffsets
}

// sqOffsets is struct io_sqring_offsets.
type sqOffsets struct {
	head, tail, ringMask, ringEntries, flags, dropped, array, resv1 uint32
	userAddr                                                        uint64
}

// cqOffsets is struct io_cqring_offsets.
type cqOffsets struct {
	head, tail, ringMask, ringEntries, overflow, cqes, flags, resv1 uint32
	userAddr                                                        uint64
}

// kernel checks p and translates it.
func (p Params) kernel() (uint32, kernelParams, error) {
	entries := p.Entries
	if entries == 0 {
		entries = defaultEntries
	}
	f := p.Flags
	clamp := f&SetupClamp != 0
	switch {
	case f&setupRefused != 0:
		return 0, kernelParams{}, invalid("flags %v are not driven by this package", f&setupRefused)
	case entries > maxEntries && !clamp:
		return 0, kernelParams{}, invalid("Entries %d is above the limit %d; lower it or add SetupClamp", entries, maxEntries)
	case p.CQEntries > maxCQEntries && !clamp:
		return 0, kernelParams{}, invalid("CQEntries %d is above the limit %d; lower it or add SetupClamp", p.CQEntries, maxCQEntries)
	case p.CQEntries == 0 && f&SetupCQSize != 0:
		return 0, kernelParams{}, invalid("SetupCQSize is set and CQEntries is 0; set CQEntries, the flag is implied")
	case p.CQEntries != 0 && roundUp(p.CQEntries) < roundUp(entries) && !clamp:
		return 0, kernelParams{}, invalid("CQEntries %d is below Entries %d; raise it", p.CQEntries, entries)
	case f&SetupDeferTaskrun != 0 && f&SetupSingleIssuer == 0:
		return 0, kernelParams{}, invalid("SetupDeferTaskrun needs SetupSingleIssuer")
	case f&SetupTaskrunFlag != 0 && f&(SetupCoopTaskrun|SetupDeferTaskrun) == 0:
		return 0, kernelParams{}, invalid("SetupTaskrunFlag needs SetupCoopTaskrun or SetupDeferTaskrun")
	case f&SetupAttachWQ == 0 && p.AttachFD != 0:
		return 0, kernelParams{}, invalid("AttachFD is set without SetupAttachWQ")
	}
	kp := kernelParams{flags: uint32(f)}
	if p.CQEntries != 0 {
		kp.flags |= uint32(SetupCQSize)
		kp.cqEntries = p.CQEntries
	}
	if f&SetupAttachWQ != 0 {
		kp.wqFD = uint32(p.AttachFD)
	}
	return entries, kp, nil
}

func roundUp(n uint32) uint32 { return 1 << bits.Len32(max(n, 1)-1) }

func invalid(format string, args ...any) error {
	return &Error{Op: "setup", Errno: syscall.EINVAL, Cause: fmt.Sprintf(format, args...)}
}

// Setup makes a ring with exactly the flags asked for; it does not fall back to fewer. The caller closes it.
//
// Errors are *Error and wrap the errno: EINVAL (a flag that this kernel lacks, see Supports), ENOSYS, EPERM, EACCES
// (io_uring is missing or blocked, see Available), ENOMEM (RLIMIT_MEMLOCK or memory; the kernel returns the charge of
// closed rings some milliseconds late, so it may pass on a second try), EMFILE, ENFILE.
func Setup(p Params) (*Ring, error) {
	entries, kp, err := p.kernel()
	if err != nil {
		return nil, err
	}
	fd, errno := sysSetup(entries, &kp)
	if errno != 0 {
		return nil, setupError(errno, p.Flags)
	}
	r := &Ring{fd: fd, enterFD: fd, params: kp}
	if err := r.mmap(); err != nil {
		closeFD(fd)
		return nil, err
	}
	r.init()
	return r, nil
}
