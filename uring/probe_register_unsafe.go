//go:build linux

package uring

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The structs here have the layouts of their namesakes in linux/io_uring.h; they are only used by trials.

type cloneBuffersArg struct {
	srcFD, flags, srcOff, dstOff, nr uint32
	pad                              [3]uint32
}

type napiArg struct {
	busyPollTo     uint32
	preferBusyPoll uint8
	pad            [3]uint8
	resv           uint64
}

type clockArg struct {
	clock uint32
	resv  [3]uint32
}

type regionDesc struct {
	userAddr uint64
	size     uint64
	flags    uint32
	_        uint32    // id
	_        [5]uint64 // mmap_offset, reserved
}

type memRegionArg struct {
	region uint64
	flags  uint64
	resv   [2]uint64
}

func registerTable() []trialRow {
	return []trialRow{
		{"PROBE", "5.6", "the kernel cannot tell its operations: epoll is used", tryRegisterProbe},
		{"RESTRICTIONS", "5.10", "a ring does whatever is submitted", tryRestrictions},
		{"IOWQ_MAX_WORKERS", "5.15", "file operations may start many kernel threads", tryIOWQ},
		{"RING_FDS", "5.18", "each enter looks the descriptor up", tryRingFD},
		{"FILES_SPARSE", "5.19", "direct descriptors need a table of -1", tryFilesSparse},
		{"PBUF_RING", "5.19", "no shared receive buffers: epoll is used", tryBufRing},
		{"SYNC_CANCEL", "6.0", "cancels go through the queue", trySyncCancel},
		{"FILE_ALLOC_RANGE", "6.0", "any slot may be picked for a direct descriptor", tryFileAllocRange},
		{"PBUF_STATUS", "6.8", "the fill of a buffer ring is counted in user space", tryBufStatus},
		{"NAPI", "6.9", "no busy polling of the network device", tryNAPI},
		{"PBUF_RING_INC", "6.12", "a buffer holds one receive, however small", tryBufRingInc},
		{"CLOCK", "6.12", "waits run on the monotonic clock", tryClock},
		{"CLONE_BUFFERS", "6.12", "each ring registers its buffers itself", tryCloneBuffers},
		{"SEND_MSG_RING", "6.13", "only a ring can post to a ring", trySendMsgRing},
		{"MEM_REGION", "6.13", "wait arguments are copied at each enter", tryMemRegion},
		{"QUERY", "6.18", "limits are found by trial", tryQuery},
	}
}

func tryRegisterProbe(p *prober) (State, string) {
	_, errno := p.ring.probe()
	return judge(errno)
}

func tryRestrictions(*prober) (State, string) {
	r, err := Setup(Params{Entries: 4, Flags: SetupRDisabled})
	if err != nil {
		return judgeErr(err)
	}
	defer r.Close()
	if err := r.RegisterRestrictions([]Restriction{AllowOp(OpNop)}); err != nil {
		return judgeErr(err)
	}
	return judgeErr(r.EnableRings())
}

func tryIOWQ(p *prober) (State, string) {
	_, _, err := p.ring.RegisterIOWQMaxWorkers(0, 0)
	return judgeErr(err)
}

func tryRingFD(p *prober) (State, string) {
	if err := p.ring.RegisterRingFD(); err != nil {
		return judgeErr(err)
	}
	return judgeErr(p.ring.UnregisterRingFD())
}

func tryFilesSparse(p *prober) (State, string) {
	if err := p.ring.RegisterFilesSparse(4); err != nil {
		return judgeErr(err)
	}
	return judgeErr(p.ring.UnregisterFiles())
}

func tryFileAllocRange(p *prober) (State, string) {
	if err := p.ring.RegisterFilesSparse(4); err != nil {
		return judgeErr(err)
	}
	defer p.ring.UnregisterFiles()
	return judgeErr(p.ring.RegisterFileAllocRange(0, 2))
}

const trialGroup = 1

func tryBufRing(p *prober) (State, string) {
	b, err := p.ring.RegisterBufRing(trialGroup, 2)
	if err != nil {
		return judgeErr(err)
	}
	return judgeErr(b.Close())
}

func tryBufRingInc(p *prober) (State, string) {
	b, err := p.ring.RegisterBufRingIncremental(trialGroup, 2)
	if err != nil {
		return judgeErr(err)
	}
	return judgeErr(b.Close())
}

func tryBufStatus(p *prober) (State, string) {
	b, err := p.ring.RegisterBufRing(trialGroup, 2)
	if err != nil {
		return judgeErr(err)
	}
	defer b.Close()
	_, err = b.Available()
	return judgeErr(err)
}

func trySyncCancel(p *prober) (State, string) {
	// Nothing is in flight: ENOENT is the answer of a kernel that has it.
	_, err := p.ring.SyncCancel(1, 0, 0, -1)
	return judgeErr(err, syscall.ENOENT)
}

func tryNAPI(p *prober) (State, string) {
	arg := napiArg{busyPollTo: 1}
	// SAFETY: struct io_uring_napi; the second call undoes the first.
	if _, errno := sysRegister(p.ring.fd, registerNAPI, unsafe.Pointer(&arg), 1); errno != 0 {
		return judge(errno)
	}
	_, errno := sysRegister(p.ring.fd, registerNAPI+1, unsafe.Pointer(&arg), 1)
	return judge(errno)
}

func tryClock(p *prober) (State, string) {
	arg := clockArg{clock: unix.CLOCK_MONOTONIC}
	// SAFETY: struct io_uring_clock_register; it sets what is set already.
	_, errno := sysRegister(p.ring.fd, registerClock, unsafe.Pointer(&arg), 0)
	return judge(errno)
}

func tryCloneBuffers(p *prober) (State, string) {
	other, err := Setup(Params{Entries: 4})
	if err != nil {
		return unknownf("%v", err)
	}
	defer other.Close()
	arg := cloneBuffersArg{srcFD: uint32(other.fd)}
	// SAFETY: struct io_uring_clone_buffers. The source has none: ENXIO is the answer of a kernel that has it.
	_, errno := sysRegister(p.ring.fd, registerCloneBuffers, unsafe.Pointer(&arg), 1)
	return judge(errno, syscall.ENXIO)
}

func trySendMsgRing(p *prober) (State, string) {
	var s SQE
	s.PrepMsgRing(p.ring.fd, 1, 0)
	// SAFETY: struct io_uring_sqe. A kernel without it does not take -1 for a ring: EBADF.
	_, errno := sysRegister(-1, registerSendMsgRing, unsafe.Pointer(&s), 1)
	if errno == syscall.EBADF {
		return No, ""
	}
	if errno == 0 {
		for _, ok := p.ring.Next(); ok; _, ok = p.ring.Next() {
		}
		p.ring.PublishHead()
	}
	return judge(errno)
}

func tryMemRegion(*prober) (State, string) {
	r, err := Setup(Params{Entries: 4, Flags: SetupRDisabled})
	if err != nil {
		return judgeErr(err)
	}
	defer r.Close()
	size := unix.Getpagesize()
	mem, err := mapAnonymous(uintptr(size))
	if err != nil {
		return unknownf("%v", err)
	}
	defer unix.Munmap(mem)
	desc := &regionDesc{userAddr: bytesAddr(mem), size: uint64(size), flags: 1}
	arg := memRegionArg{region: ptrAddr(desc), flags: 1}
	// SAFETY: struct io_uring_mem_region_reg; the kernel pins the pages, so unmapping them is harmless.
	_, errno := sysRegister(r.fd, registerMemRegion, unsafe.Pointer(&arg), 1)
	return judge(errno)
}

func tryQuery(p *prober) (State, string) {
	// An empty chain of queries is a success.
	_, errno := sysRegister(p.ring.fd, registerQuery, nil, 0)
	return judge(errno)
}
