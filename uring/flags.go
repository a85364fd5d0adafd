//go:build linux

package uring

import (
	"fmt"
	"strings"
)

// SetupFlags are the flags of io_uring_setup(2).
type SetupFlags uint32

// Setup flags. Those marked "refused" are known to Supports but not to Setup; the package comment says why.
const (
	// SetupIOPoll polls the device for completions. Refused.
	SetupIOPoll SetupFlags = 1 << iota
	// SetupSQPoll makes a kernel thread take submissions. Refused.
	SetupSQPoll
	// SetupSQAff pins that thread. Refused.
	SetupSQAff
	// SetupCQSize lets Params.CQEntries size the completion queue; implied by it.
	SetupCQSize
	// SetupClamp makes the kernel cut sizes above its limits instead of failing.
	SetupClamp
	// SetupAttachWQ shares the io-wq worker pool of the ring Params.AttachFD.
	SetupAttachWQ
	// SetupRDisabled starts the ring disabled: register restrictions, then EnableRings. 5.10.
	SetupRDisabled
	// SetupSubmitAll goes on submitting after an entry that is wrong. 5.18.
	SetupSubmitAll
	// SetupCoopTaskrun does not interrupt the submitting thread when a completion needs it; it is done at the next
	// system call instead. 5.19.
	SetupCoopTaskrun
	// SetupTaskrunFlag makes TaskrunPending report such work. 5.19.
	SetupTaskrunFlag
	// SetupSQE128 doubles the SQE. Refused.
	SetupSQE128
	// SetupCQE32 doubles the CQE. Refused.
	SetupCQE32
	// SetupSingleIssuer promises that only one thread submits and registers: the one that set the ring up, or with
	// SetupRDisabled the one that enabled it. Others get EEXIST. 6.0.
	SetupSingleIssuer
	// SetupDeferTaskrun runs completion work only inside an enter that asks for events. Needs SetupSingleIssuer. 6.1.
	SetupDeferTaskrun
	// SetupNoMmap places the rings in the application's memory. Refused.
	SetupNoMmap
	// SetupRegisteredFDOnly returns a registered index in place of a descriptor. Refused.
	SetupRegisteredFDOnly
	// SetupNoSQArray leaves the index array of the submission queue out. 6.6.
	SetupNoSQArray
	// SetupHybridIOPoll sleeps before it polls. Refused.
	SetupHybridIOPoll
	// SetupCQEMixed allows CQEs of two sizes. Refused.
	SetupCQEMixed
	// SetupSQEMixed allows SQEs of two sizes. Refused.
	SetupSQEMixed
	// SetupSQRewind takes each batch from the start of the queue. Refused.
	SetupSQRewind

	setupRefused = SetupIOPoll | SetupSQPoll | SetupSQAff | SetupSQE128 | SetupCQE32 | SetupNoMmap |
		SetupRegisteredFDOnly | SetupHybridIOPoll | SetupCQEMixed | SetupSQEMixed | SetupSQRewind
)

var setupNames = []string{
	"IOPOLL", "SQPOLL", "SQ_AFF", "CQSIZE", "CLAMP", "ATTACH_WQ", "R_DISABLED", "SUBMIT_ALL", "COOP_TASKRUN",
	"TASKRUN_FLAG", "SQE128", "CQE32", "SINGLE_ISSUER", "DEFER_TASKRUN", "NO_MMAP", "REGISTERED_FD_ONLY", "NO_SQARRAY",
	"HYBRID_IOPOLL", "CQE_MIXED", "SQE_MIXED", "SQ_REWIND",
}

// String lists the flags by the kernel's names, joined by "|".
func (f SetupFlags) String() string { return flagNames(uint32(f), setupNames) }

// Features is the feature word that the kernel returns from io_uring_setup(2).
type Features uint32

// Feature bits.
const (
	// FeatSingleMmap: both queues share one mapping. 5.4; Setup needs it.
	FeatSingleMmap Features = 1 << iota
	// FeatNoDrop: completions are kept when the queue is full. 5.5.
	FeatNoDrop
	// FeatSubmitStable: what an SQE points to is read at submission (headers, vectors; not the data). 5.5.
	FeatSubmitStable
	// FeatRWCurPos: offset -1 is the file's position. 5.6.
	FeatRWCurPos
	// FeatCurPersonality: operations run with the submitter's credentials. 5.6.
	FeatCurPersonality
	// FeatFastPoll: sockets wait by poll, not by a thread. 5.7.
	FeatFastPoll
	// FeatPoll32Bits: poll masks have 32 bits (EPOLLEXCLUSIVE). 5.9.
	FeatPoll32Bits
	// FeatSQPollNonfixed: SQPOLL works with ordinary descriptors. 5.11.
	FeatSQPollNonfixed
	// FeatExtArg: an enter can carry a timeout. 5.11.
	FeatExtArg
	// FeatNativeWorkers: io-wq threads belong to the process. 5.12.
	FeatNativeWorkers
	// FeatRsrcTags: registered resources carry tags and can be updated. 5.13.
	FeatRsrcTags
	// FeatCQESkip: SQECQESkipSuccess works. 5.17.
	FeatCQESkip
	// FeatLinkedFile: a linked operation resolves its file when it starts. 5.17.
	FeatLinkedFile
	// FeatRegRegRing: register calls accept a registered ring index. 6.3.
	FeatRegRegRing
	// FeatRecvSendBundle: bundles of provided buffers. 6.10.
	FeatRecvSendBundle
	// FeatMinTimeout: an enter can carry a minimum wait. 6.12.
	FeatMinTimeout
	// FeatRWAttr: reads and writes can carry attributes. 6.13.
	FeatRWAttr
	// FeatNoIOWait: waiting need not count as iowait. 6.15.
	FeatNoIOWait
)

var featureNames = []string{
	"SINGLE_MMAP", "NODROP", "SUBMIT_STABLE", "RW_CUR_POS", "CUR_PERSONALITY", "FAST_POLL", "POLL_32BITS",
	"SQPOLL_NONFIXED", "EXT_ARG", "NATIVE_WORKERS", "RSRC_TAGS", "CQE_SKIP", "LINKED_FILE", "REG_REG_RING",
	"RECVSEND_BUNDLE", "MIN_TIMEOUT", "RW_ATTR", "NO_IOWAIT",
}

// String lists the features by the kernel's names, joined by "|".
func (f Features) String() string { return flagNames(uint32(f), featureNames) }

// Has reports whether all of g are set.
func (f Features) Has(g Features) bool { return f&g == g }

func flagNames(v uint32, names []string) string {
	if v == 0 {
		return "0"
	}
	var parts []string
	for i, n := range names {
		if v&(1<<i) != 0 {
			parts = append(parts, n)
			v &^= 1 << i
		}
	}
	if v != 0 {
		parts = append(parts, fmt.Sprintf("%#x", v))
	}
	return strings.Join(parts, "|")
}

// io_uring_enter(2) flags and the bits of the submission queue's flags word.
const (
	enterGetEvents      = 1 << 0
	enterExtArg         = 1 << 3
	enterRegisteredRing = 1 << 4
	enterNoIOWait       = 1 << 7

	sqCQOverflow = 1 << 1
	sqTaskrun    = 1 << 2
)

// Offsets of the mappings, io_uring_setup(2).
const (
	offSQRing = 0
	offSQEs   = 0x10000000
)
