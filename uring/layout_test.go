//go:build linux

package uring

import (
	"fmt"
	"reflect"
	"testing"

	sys "github.com/iceber/iouring-go/syscall"
	"github.com/stretchr/testify/require"
)

// offsets describes a struct as "name@offset …, size", blank fields left out.
func offsets(v any) string {
	t := reflect.TypeOf(v)
	s := ""
	for i := range t.NumField() {
		if f := t.Field(i); f.Name != "_" {
			s += fmt.Sprintf("%s@%d ", f.Name, f.Offset)
		}
	}
	return s + fmt.Sprintf("size %d", t.Size())
}

// The numbers are those of linux/io_uring.h.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{SQE{}, "Opcode@0 Flags@1 IoPrio@2 FD@4 Off@8 Addr@16 Len@24 OpFlags@28 UserData@32 BufIndex@40 Personality@42 " +
			"SpliceFDIn@44 Addr3@48 size 64"},
		{CQE{}, "UserData@0 Res@8 Flags@12 size 16"},
		{Timespec{}, "Sec@0 Nsec@8 size 16"},
		{kernelParams{}, "sqEntries@0 cqEntries@4 flags@8 sqThreadCPU@12 sqThreadIdle@16 features@20 wqFD@24 resv@28 " +
			"sqOff@40 cqOff@80 size 120"},
		{sqOffsets{}, "head@0 tail@4 ringMask@8 ringEntries@12 flags@16 dropped@20 array@24 resv1@28 userAddr@32 size 40"},
		{cqOffsets{}, "head@0 tail@4 ringMask@8 ringEntries@12 overflow@16 cqes@20 flags@24 resv1@28 userAddr@32 size 40"},
		{getEventsArg{}, "sigmask@0 sigmaskSize@8 minWaitUsec@12 ts@16 size 24"},
		{bufEntry{}, "addr@0 len@8 bid@12 resv@14 size 16"},
		{bufReg{}, "ringAddr@0 ringEntries@8 bgid@12 flags@14 resv@16 size 40"},
		{bufStatus{}, "group@0 head@4 resv@8 size 40"},
		{probeOp{}, "op@0 resv@1 flags@2 resv2@4 size 8"},
		{probeArg{}, "lastOp@0 opsLen@1 resv@2 resv2@4 ops@16 size 2064"},
		{restrictionArg{}, "opcode@0 value@2 resv@3 resv2@4 size 16"},
		{rsrcRegister{}, "nr@0 flags@4 resv2@8 data@16 tags@24 size 32"},
		{rsrcUpdate{}, "offset@0 resv@4 data@8 size 16"},
		{rsrcUpdate2{}, "offset@0 resv@4 data@8 tags@16 nr@24 resv2@28 size 32"},
		{syncCancelArg{}, "addr@0 fd@8 flags@12 timeout@16 opcode@32 pad@33 pad2@40 size 64"},
		{fileRange{}, "off@0 len@4 resv@8 size 16"},
		{cloneBuffersArg{}, "srcFD@0 flags@4 srcOff@8 dstOff@12 nr@16 pad@20 size 32"},
		{napiArg{}, "busyPollTo@0 preferBusyPoll@4 pad@5 resv@8 size 16"},
		{clockArg{}, "clock@0 resv@4 size 16"},
		{regionDesc{}, "userAddr@0 size@8 flags@16 size 64"},
		{memRegionArg{}, "region@0 flags@8 resv@16 size 32"},
	} {
		require.Equal(t, c.want, offsets(c.v), "%T", c.v)
	}
}

// shape is the sequence of offsets and sizes of a struct's leaves: what two declarations of one ABI must share.
func shape(t reflect.Type, base uintptr, out map[uintptr]uintptr) {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			shape(t.Field(i).Type, base+t.Field(i).Offset, out)
		}
	case reflect.Array:
		for i := range t.Len() {
			shape(t.Elem(), base+uintptr(i)*t.Elem().Size(), out)
		}
	default:
		out[base] = t.Size()
	}
}

func shapeOf(v any) map[uintptr]uintptr {
	m := map[uintptr]uintptr{}
	shape(reflect.TypeOf(v), 0, m)
	return m
}

// Another author's reading of the same header must agree with ours.
func TestLayoutsAgreeWithIouringGo(t *testing.T) {
	require.Equal(t, shapeOf(sys.SubmissionQueueEntry64{}), shapeOf(SQE{}))
	require.Equal(t, shapeOf(sys.CompletionQueueEvent16{}), shapeOf(CQE{}))
	require.Equal(t, shapeOf(sys.IOURingParams{}), shapeOf(kernelParams{}))
	require.Equal(t, shapeOf(sys.SubmissionQueueRingOffset{}), shapeOf(sqOffsets{}))
	require.Equal(t, shapeOf(sys.CompletionQueueRingOffset{}), shapeOf(cqOffsets{}))
}

func TestConstantsAgreeWithIouringGo(t *testing.T) {
	same := func(name string, ours, theirs uint64) {
		t.Helper()
		require.Equal(t, theirs, ours, name)
	}
	for name, p := range map[string][2]uint8{
		"POLL_ADD": {OpPollAdd, sys.IORING_OP_POLL_ADD}, "ACCEPT": {OpAccept, sys.IORING_OP_ACCEPT},
		"ASYNC_CANCEL": {OpAsyncCancel, sys.IORING_OP_ASYNC_CANCEL}, "CONNECT": {OpConnect, sys.IORING_OP_CONNECT},
		"FALLOCATE": {OpFallocate, sys.IORING_OP_FALLOCATE}, "OPENAT": {OpOpenat, sys.IORING_OP_OPENAT},
		"STATX": {OpStatx, sys.IORING_OP_STATX}, "READ": {OpRead, sys.IORING_OP_READ}, "RECV": {OpRecv, sys.IORING_OP_RECV},
		"SPLICE": {OpSplice, sys.IORING_OP_SPLICE}, "TEE": {OpTee, sys.IORING_OP_TEE},
		"SHUTDOWN": {OpShutdown, sys.IORING_OP_SHUTDOWN}, "LINKAT": {OpLinkat, sys.IORING_OP_LINKAT},
		"MSG_RING": {OpMsgRing, sys.IORING_OP_MSG_RING}, "SOCKET": {OpSocket, sys.IORING_OP_SOCKET},
		"URING_CMD": {OpURingCmd, sys.IORING_OP_URING_CMD}, "SEND_ZC": {OpSendZC, sys.IORING_OP_SEND_ZC},
		"SENDMSG_ZC": {OpSendMsgZC, sys.IORING_OP_SENDMSG_ZC}, "next": {OpReadMultishot, sys.IORING_OP_LAST},
	} {
		same(name, uint64(p[0]), uint64(p[1]))
		if name != "next" {
			require.Equal(t, name, OpName(p[0]))
		}
	}
	same("SUBMIT_ALL", uint64(SetupSubmitAll), uint64(sys.IORING_SETUP_SUBMIT_ALL))
	same("R_DISABLED", uint64(SetupRDisabled), uint64(sys.IORING_SETUP_R_DISABLED))
	same("CQSIZE", uint64(SetupCQSize), uint64(sys.IORING_SETUP_CQSIZE))
	same("TASKRUN_FLAG", uint64(SetupTaskrunFlag), uint64(sys.IORING_SETUP_TASKRUN_FLAG))
	same("CQE32", uint64(SetupCQE32), uint64(sys.IORING_SETUP_CQE32))
	same("FEAT", uint64(FeatSQPollNonfixed), uint64(sys.IORING_FEAT_SQPOLL_NONFIXED))
	same("NODROP", uint64(FeatNoDrop), uint64(sys.IORING_FEAT_NODROP))
	same("GETEVENTS", enterGetEvents, uint64(sys.IORING_ENTER_FLAGS_GETEVENTS))
	same("CQ_OVERFLOW", sqCQOverflow, uint64(sys.IORING_SQ_CQ_OVERFLOW))
	same("BUFFER_SELECT", uint64(SQEBufferSelect), uint64(sys.IOSQE_FLAGS_BUFFER_SELECT))
	same("OFF_SQES", offSQEs, sys.IORING_OFF_SQES)
	same("ENABLE_RINGS", registerEnableRings, uint64(sys.IORING_REGISTER_ENABLE_RINGS))
	same("PROBE", registerProbe, uint64(sys.IORING_REGISTER_PROBE))
	same("FILES_UPDATE", registerFilesUpdate, uint64(sys.IORING_REGISTER_FILES_UPDATE))
	same("FD_IN_FIXED", uint64(SpliceFDInFixed), sys.IOSQE_SPLICE_F_FD_IN_FIXED)
}
