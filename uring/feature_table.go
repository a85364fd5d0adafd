//go:build linux

package uring

// How the groups of rows are tried.
const (
	howSetup    = "a ring is set up with the flag"
	howFeat     = "feature word of a plain ring"
	howOp       = "REGISTER_PROBE"
	howRegister = "the registration is tried"
	howUse      = "it is used"
)

type setupRow struct {
	flag           SetupFlags
	first, without string
}

var setupRows = []setupRow{
	{SetupIOPoll, "5.1", ""},
	{SetupSQPoll, "5.1", ""},
	{SetupCQSize, "5.5", "the completion queue is twice the submission queue; more overflows under load"},
	{SetupClamp, "5.6", "sizes above the kernel's limits are an error"},
	{SetupAttachWQ, "5.6", "each ring has its own pool of worker threads"},
	{SetupRDisabled, "5.10", "no restrictions; a ring belongs to the thread that made it"},
	{SetupSubmitAll, "5.18", "a wrong entry ends its batch; the rest goes with the next call"},
	{SetupCoopTaskrun, "5.19", "the CPU is interrupted for completions: about a third more CPU per request"},
	{SetupTaskrunFlag, "5.19", "finished work that awaits an enter is not visible"},
	{SetupSQE128, "5.19", ""},
	{SetupCQE32, "5.19", ""},
	{SetupSingleIssuer, "6.0", "the kernel synchronises submitters; no DEFER_TASKRUN"},
	{SetupDeferTaskrun, "6.1", "completions are worked on at any system call, not in one batch"},
	{SetupNoSQArray, "6.6", "one indirection per entry, written once"},
	{SetupHybridIOPoll, "6.13", ""},
	{SetupCQEMixed, "6.18", ""},
	{SetupSQEMixed, "6.19", ""},
	{SetupSQRewind, "7.0", ""},
}

type featRow struct {
	feat           Features
	first, without string
}

var featRows = []featRow{
	{FeatSingleMmap, "5.4", "no ring: epoll is used"},
	{FeatNoDrop, "5.5", "completions can be lost: epoll is used"},
	{FeatSubmitStable, "5.5", "headers and vectors must live until the completion"},
	{FeatRWCurPos, "5.6", "reads and writes need an explicit offset"},
	{FeatCurPersonality, "5.6", "operations run with the ring owner's credentials"},
	{FeatFastPoll, "5.7", "sockets would use a thread each: epoll is used"},
	{FeatPoll32Bits, "5.9", "no EPOLLEXCLUSIVE in polls"},
	{FeatSQPollNonfixed, "5.11", ""},
	{FeatExtArg, "5.11", "waits with a timeout need a timeout operation"},
	{FeatNativeWorkers, "5.12", "worker threads are the kernel's own and escape the process's limits"},
	{FeatRsrcTags, "5.13", "registered resources are replaced as a whole"},
	{FeatCQESkip, "5.17", "each operation posts a completion, closes too"},
	{FeatLinkedFile, "5.17", "a linked operation cannot use a descriptor opened in its chain"},
	{FeatRegRegRing, "6.3", "register calls look the descriptor up"},
	{FeatRecvSendBundle, "6.10", "one buffer per receive completion"},
	{FeatMinTimeout, "6.12", "a wait returns at the first completion, so batches are smaller under light load"},
	{FeatRWAttr, "6.13", ""},
	{FeatNoIOWait, "6.15", "an idle wait shows as iowait in CPU statistics"},
}

// opFirst is the first kernel of each operation, by opcode.
var opFirst = [opCount]string{
	"5.1", "5.1", "5.1", "5.1", "5.1", "5.1", "5.1", "5.1", "5.2", // NOP … SYNC_FILE_RANGE
	"5.3", "5.3", "5.4", "5.5", "5.5", "5.5", "5.5", "5.5", // SENDMSG … CONNECT
	"5.6", "5.6", "5.6", "5.6", "5.6", "5.6", "5.6", "5.6", "5.6", "5.6", "5.6", "5.6", "5.6", // FALLOCATE … EPOLL_CTL
	"5.7", "5.7", "5.7", "5.8", // SPLICE … TEE
	"5.11", "5.11", "5.11", "5.15", "5.15", "5.15", // SHUTDOWN … LINKAT
	"5.18", "5.19", "5.19", "5.19", "5.19", "5.19", "5.19", "6.0", "6.1", // MSG_RING … SENDMSG_ZC
	"6.7", "6.7", "6.7", "6.7", "6.7", "6.8", "6.9", "6.11", "6.11", // READ_MULTISHOT … LISTEN
	"6.15", "6.15", "6.15", "6.15", "6.16", "6.19", "6.19", // RECV_ZC … URING_CMD128
}

const (
	withoutSocket = "no sockets on the ring: epoll is used"
	withoutFile   = "the call is made on an ordinary goroutine"
)

var opWithout = map[uint8]string{
	OpNop: "no ring", OpReadv: withoutFile, OpWritev: withoutFile, OpFsync: withoutFile, OpReadFixed: withoutFile,
	OpWriteFixed: withoutFile, OpPollAdd: withoutSocket, OpPollRemove: withoutSocket,
	OpSendMsg: "messages are sent by a direct call", OpRecvMsg: "messages are received by a direct call",
	OpTimeout: "timers are kept in user space", OpTimeoutRemove: "timers are kept in user space",
	OpAccept: withoutSocket, OpAsyncCancel: withoutSocket, OpLinkTimeout: "deadlines are kept in user space",
	OpConnect: withoutSocket, OpFallocate: withoutFile, OpOpenat: withoutFile, OpOpenat2: withoutFile,
	OpClose: withoutFile, OpFilesUpdate: "registered files are updated by a register call", OpStatx: withoutFile,
	OpRead: withoutFile, OpWrite: withoutFile, OpFadvise: withoutFile, OpSend: withoutSocket, OpRecv: withoutSocket,
	OpSplice: "data is copied through a buffer", OpTee: "data is copied through a buffer",
	OpShutdown: "shutdown is a direct call", OpRenameat: withoutFile, OpUnlinkat: withoutFile, OpMkdirat: withoutFile,
	OpMsgRing: "workers wake each other by an eventfd", OpSocket: "sockets are made by a direct call",
	OpSendZC: "data is copied into the socket", OpSendMsgZC: "data is copied into the socket",
	OpReadMultishot: "pipes are read one operation at a time", OpFutexWait: "futexes are waited for on a goroutine",
	OpFutexWake: "futexes are woken by a direct call", OpFixedFDInstall: "direct descriptors stay inside the ring",
	OpFtruncate: withoutFile, OpBind: "bind is a direct call", OpListen: "listen is a direct call",
}

// registerTable and useTable are in the files that hold their trials.

func makeRows() []feature {
	var rows []feature
	add := func(name, how, first, without string, try func(*prober) (State, string)) {
		rows = append(rows, feature{Feature{Name: name, How: how, FirstKernel: first, Without: without}, try})
	}
	for _, r := range setupRows {
		add("setup."+r.flag.String(), howSetup, r.first, r.without, func(*prober) (State, string) {
			yes, err := Supports(r.flag)
			switch {
			case err != nil:
				return Unknown, err.Error()
			case yes:
				return Yes, ""
			}
			return No, ""
		})
	}
	for _, r := range featRows {
		add("feat."+r.feat.String(), howFeat, r.first, r.without, func(p *prober) (State, string) {
			return yesIf(p.ring.Features().Has(r.feat))
		})
	}
	for op := range opCount {
		add("op."+opNames[op], howOp, opFirst[op], opWithout[op], func(p *prober) (State, string) {
			return yesIf(p.ops.Has(op))
		})
	}
	for _, r := range registerTable() {
		add("register."+r.name, howRegister, r.first, r.without, r.try)
	}
	for _, r := range useTable() {
		add("use."+r.name, howUse, r.first, r.without, r.try)
	}
	return rows
}

func yesIf(b bool) (State, string) {
	if b {
		return Yes, ""
	}
	return No, ""
}

// trialRow is a row whose trial is a function of its own.
type trialRow struct {
	name, first, without string
	try                  func(*prober) (State, string)
}
