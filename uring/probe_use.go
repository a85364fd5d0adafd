//go:build linux

package uring

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func useTable() []trialRow {
	return []trialRow{
		{"timed-wait", "5.11", "waits with a timeout need a timeout operation", tryTimedWait},
		{"poll-multishot", "5.13", "a poll is armed again after each event", tryPollMultishot},
		{"cqe-skip", "5.17", "each operation posts a completion, closes too", trySkip},
		{"accept-multishot", "5.19", "no sockets on the ring: epoll is used", tryAcceptMultishot},
		{"poll-first", "5.19", "a receive tries before it waits, and fails at once on an empty buffer ring", tryPollFirst},
		{"cancel-fd-all", "5.19", "operations are cancelled one by one", tryCancelFD},
		{"direct-alloc", "5.19", "slots for direct descriptors are picked in user space", tryDirectAlloc},
		{"recv-multishot", "6.0", "no sockets on the ring: epoll is used", tryRecvMultishot},
		{"msg-ring-flags", "6.3", "a message carries a result only", tryMsgRingFlags},
		{"timeout-multishot", "6.4", "a periodic timeout is armed again each time", tryTimeoutMultishot},
		{"cancel-op", "6.6", "operations are cancelled one by one", tryCancelOp},
		{"futex", "6.7", "futexes are waited for on a goroutine", tryFutex},
		{"recv-bundle", "6.10", "one buffer per receive completion", tryBundle},
		{"incremental-buffers", "6.12", "a buffer holds one receive, however small", tryIncremental},
		{"recv-multishot-limit", "6.18", "a receive may fill its whole buffer", tryRecvLimit},
	}
}

func tryTimedWait(p *prober) (State, string) {
	if !p.ring.Features().Has(FeatExtArg) {
		return No, ""
	}
	_, errno := p.ring.SubmitAndWait(1, 0)
	return judge(errno, syscall.ETIME)
}

func tryPollMultishot(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	fd := t.eventfd()
	t.submit(1, func(s *SQE) { s.PrepPollMultishot(fd, unix.POLLIN) })
	t.wait(0)
	t.write(fd, "\x01\x00\x00\x00\x00\x00\x00\x00")
	c := t.wait(1)[0]
	return t.answer(c.More(), c)
}

func trySkip(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	t.submit(1, func(s *SQE) { s.PrepNop(); s.Flags |= SQECQESkipSuccess })
	t.submit(2, func(s *SQE) { s.PrepNop() })
	c := t.wait(1)[0]
	return t.answer(c.UserData == 2, c)
}

func tryAcceptMultishot(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	fd, addr := t.listener()
	t.submit(1, func(s *SQE) { s.PrepAcceptMultishot(fd, unix.SOCK_CLOEXEC) })
	t.wait(0)
	t.connect(addr)
	c := t.wait(1)[0]
	if t.err == nil && c.Res >= 0 {
		t.own(int(c.Res), nil)
	}
	return t.answer(c.More(), c)
}

func tryPollFirst(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	a, b := t.socketpair()
	t.write(b, "x")
	buf := make([]byte, 1)
	t.submit(1, func(s *SQE) { s.PrepRecv(a, buf, 0); s.IoPrio = PollFirst })
	c := t.wait(1)[0]
	runtime.KeepAlive(buf)
	return t.answer(c.Res == 1, c)
}

func tryCancelFD(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	fd := t.eventfd()
	t.submit(1, func(s *SQE) { s.PrepPollAdd(fd, unix.POLLIN) })
	t.submit(2, func(s *SQE) { s.PrepPollAdd(fd, unix.POLLIN) })
	t.wait(0)
	t.submit(3, func(s *SQE) { s.PrepCancelFD(fd, CancelAll) })
	return t.cancelAnswer(3)
}

func tryCancelOp(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	fd := t.eventfd()
	t.submit(1, func(s *SQE) { s.PrepPollAdd(fd, unix.POLLIN) })
	t.submit(2, func(s *SQE) { s.PrepPollAdd(fd, unix.POLLIN) })
	t.wait(0)
	t.submit(3, func(s *SQE) {
		s.PrepCancel(0, CancelAll|CancelOp)
		s.Len = uint32(OpPollAdd)
	})
	return t.cancelAnswer(3)
}

// cancelAnswer waits for the completion of a cancel that should match two operations.
func (t *trial) cancelAnswer(userData uint64) (State, string) {
	for range 3 {
		c := t.wait(1)[0]
		if t.err != nil || c.UserData == userData {
			return t.answer(c.Res == 2, c)
		}
	}
	return Unknown, errNoAnswer.Error()
}

func tryDirectAlloc(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	if t.err == nil {
		t.fail(t.r.RegisterFilesSparse(2))
	}
	t.submit(1, func(s *SQE) {
		s.PrepSocket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		s.SetFileIndex(FileIndexAlloc)
	})
	c := t.wait(1)[0]
	return t.answer(c.Res == 0, c)
}

func tryRecvMultishot(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	a, b := t.socketpair()
	t.provide(2, 8, false)
	t.submit(1, func(s *SQE) { s.PrepRecvMultishot(a, trialGroup) })
	t.wait(0)
	t.write(b, "x")
	c := t.wait(1)[0]
	return t.answer(c.More(), c)
}

func tryRecvLimit(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	a, b := t.socketpair()
	t.provide(2, 8, false)
	t.write(b, "xy")
	t.submit(1, func(s *SQE) { s.PrepRecvMultishot(a, trialGroup); s.Len = 1 })
	c := t.wait(1)[0]
	return t.answer(c.Res == 1, c)
}

func tryBundle(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	a, b := t.socketpair()
	t.provide(2, 1, false)
	t.write(b, "xy")
	t.submit(1, func(s *SQE) { s.PrepRecvSelect(a, trialGroup, 2); s.IoPrio = Bundle })
	c := t.wait(1)[0]
	return t.answer(c.Res == 2, c)
}

func tryIncremental(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	a, b := t.socketpair()
	t.provide(2, 8, true)
	t.write(b, "x")
	t.submit(1, func(s *SQE) { s.PrepRecvSelect(a, trialGroup, 0) })
	c := t.wait(1)[0]
	return t.answer(c.BufferMore(), c)
}

func tryMsgRingFlags(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	if t.err == nil {
		t.submit(1, func(s *SQE) { s.PrepMsgRingFlags(t.r.FD(), 2, 0, CQESockNonEmpty) })
	}
	for range 2 {
		c := t.wait(1)[0]
		if t.err != nil || c.Res < 0 || c.UserData == 2 {
			return t.answer(c.SockNonEmpty(), c)
		}
	}
	return Unknown, errNoAnswer.Error()
}

func tryTimeoutMultishot(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	ts := &Timespec{Nsec: 1}
	t.submit(1, func(s *SQE) { s.PrepTimeout(ts, 2, TimeoutMultishot) })
	c := t.wait(1)[0]
	if t.err == nil && syscall.Errno(-c.Res) == syscall.ETIME {
		return yesIf(c.More())
	}
	return t.answer(false, c)
}

func tryFutex(*prober) (State, string) {
	t := newTrial()
	defer t.close()
	word := new(uint32)
	t.submit(1, func(s *SQE) { s.PrepFutexWait(word, 1) })
	c := t.wait(1)[0]
	if t.err == nil && c.Res < 0 {
		// The word differs from 1: EAGAIN is the answer of a kernel that has it.
		return judge(syscall.Errno(-c.Res), syscall.EAGAIN)
	}
	return t.answer(false, c)
}
