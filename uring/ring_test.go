//go:build linux

package uring

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestNops(t *testing.T) {
	for _, f := range []SetupFlags{0, SetupNoSQArray, SetupSubmitAll | SetupCoopTaskrun | SetupTaskrunFlag,
		SetupSingleIssuer | SetupDeferTaskrun, SetupSingleIssuer | SetupDeferTaskrun | SetupTaskrunFlag} {
		t.Run(f.String(), func(t *testing.T) {
			lockThread(t)
			r := newRing(t, Params{Entries: 4, CQEntries: 8, Flags: f})
			require.Equal(t, f|SetupCQSize, r.Flags())
			require.EqualValues(t, 4, r.SQEntries())
			require.EqualValues(t, 8, r.CQEntries())
			// More rounds than the queues have places, so that every index wraps.
			for round := range uint64(9) {
				for i := range uint64(4) {
					queue(t, r, round*4+i, (*SQE).PrepNop)
				}
				require.Nil(t, r.GetSQE(), "the queue is full")
				require.EqualValues(t, 4, r.Queued())
				n, errno := r.SubmitAndWait(4, -1)
				require.Zero(t, errno)
				require.EqualValues(t, 4, n)
				require.Zero(t, r.Queued())
				require.EqualValues(t, 4, r.Ready())
				for i := range uint64(4) {
					c, ok := r.Next()
					require.True(t, ok)
					require.Equal(t, CQE{UserData: round*4 + i}, c)
				}
				_, ok := r.Next()
				require.False(t, ok)
				require.EqualValues(t, 4, r.Ready(), "not given back yet")
				r.PublishHead()
				require.Zero(t, r.Ready())
			}
			require.Zero(t, r.Dropped())
		})
	}
}

func TestGetSQEIsZeroed(t *testing.T) {
	r := newRing(t, Params{Entries: 1})
	s := r.GetSQE()
	*s = SQE{Opcode: OpNop, UserData: 7, Addr3: 9, Personality: 0, BufIndex: 3}
	take(t, r, 1)
	require.Equal(t, SQE{}, *r.GetSQE())
}

func TestWaitTimesOut(t *testing.T) {
	r := newRing(t, Params{})
	if !r.Features().Has(FeatExtArg) {
		t.Skip("no EXT_ARG")
	}
	for _, d := range []time.Duration{0, time.Microsecond, 5 * time.Millisecond} {
		start := time.Now()
		_, errno := r.SubmitAndWait(1, d)
		for errno == syscall.EINTR { // by a signal of the runtime's, where the thread is slow to come back
			_, errno = r.SubmitAndWait(1, d)
		}
		require.Equal(t, syscall.ETIME, errno)
		require.GreaterOrEqual(t, time.Since(start), d)
	}
	// Without the feature nothing is submitted and nothing waits.
	r.params.features &^= uint32(FeatExtArg)
	queue(t, r, 1, (*SQE).PrepNop)
	_, errno := r.SubmitAndWait(1, 0)
	require.Equal(t, syscall.ENOTSUP, errno)
	require.EqualValues(t, 1, r.Queued())
	n, errno := r.SubmitAndWait(1, -1)
	require.Zero(t, errno)
	require.EqualValues(t, 1, n)
}

func TestSubmitWithoutWorkMakesNoCall(t *testing.T) {
	r := newRing(t, Params{})
	// With a wrong descriptor any system call would fail.
	real := r.enterFD
	r.enterFD = -1
	n, errno := r.SubmitAndWait(0, -1)
	require.Zero(t, errno)
	require.Zero(t, n)
	_, errno = r.SubmitAndReap()
	require.Equal(t, syscall.EBADF, errno)
	r.enterFD = real
}

// A wrong entry: without SUBMIT_ALL it ends its batch, and the rest goes with the next call.
func TestPartialSubmit(t *testing.T) {
	bad := func(s *SQE) { s.Opcode = 255 }
	t.Run("stops", func(t *testing.T) {
		r := newRing(t, Params{Entries: 4})
		queue(t, r, 1, (*SQE).PrepNop)
		queue(t, r, 2, bad)
		queue(t, r, 3, (*SQE).PrepNop)
		n, errno := r.SubmitAndWait(0, -1)
		require.Zero(t, errno)
		require.EqualValues(t, 2, n)
		require.EqualValues(t, 1, r.Queued(), "the one behind the wrong one stays")
		queue(t, r, 4, (*SQE).PrepNop)
		got := byName(t, r, 4)
		require.Equal(t, res(syscall.EINVAL), got[2].Res)
		for _, name := range []uint64{1, 3, 4} {
			require.Contains(t, got, name)
			require.Zero(t, got[name].Res)
		}
	})
	t.Run("goes on", func(t *testing.T) {
		r := newRing(t, Params{Entries: 4, Flags: SetupSubmitAll})
		queue(t, r, 1, bad)
		queue(t, r, 2, (*SQE).PrepNop)
		n, errno := r.SubmitAndWait(2, -1)
		require.Zero(t, errno)
		require.EqualValues(t, 2, n)
		require.Zero(t, r.Queued())
		require.Equal(t, res(syscall.EINVAL), byName(t, r, 2)[1].Res)
	})
}

// More completions than places: none is lost, the flag tells, and an enter brings them once there is room.
func TestOverflow(t *testing.T) {
	r := newRing(t, Params{Entries: 2, CQEntries: 2})
	if !r.Features().Has(FeatNoDrop) {
		t.Skip("no NODROP")
	}
	for i := range uint64(6) {
		if i%2 == 0 && i > 0 {
			_, errno := r.SubmitAndReap()
			require.Contains(t, []syscall.Errno{0, syscall.EBUSY}, errno)
		}
		queue(t, r, i, (*SQE).PrepNop)
	}
	_, _ = r.SubmitAndReap()
	require.True(t, r.Overflowed())
	require.EqualValues(t, 2, r.Ready())
	for i, c := range take(t, r, 6) {
		require.EqualValues(t, i, c.UserData)
	}
	require.False(t, r.Overflowed())
	require.Zero(t, r.Dropped())
}

// A call with nothing to submit enters all the same when the kernel holds completions back.
func TestHeldBackCompletionsAreFetched(t *testing.T) {
	t.Run("overflow", func(t *testing.T) {
		r := newRing(t, Params{Entries: 2, CQEntries: 2})
		for range 2 {
			queue(t, r, 1, (*SQE).PrepNop)
			queue(t, r, 1, (*SQE).PrepNop)
			_, errno := r.SubmitAndWait(0, -1)
			require.Zero(t, errno)
		}
		require.True(t, r.Overflowed())
		_, _ = r.Next()
		_, _ = r.Next()
		r.PublishHead()
		require.Zero(t, r.Ready())
		_, errno := r.SubmitAndWait(0, -1)
		require.Zero(t, errno)
		require.EqualValues(t, 2, r.Ready())
	})
	t.Run("deferred", func(t *testing.T) {
		lockThread(t)
		r := newRing(t, Params{Flags: SetupSingleIssuer | SetupDeferTaskrun})
		fd := eventFD(t)
		queue(t, r, 1, func(s *SQE) { s.PrepPollAdd(fd, unix.POLLIN) })
		_, errno := r.SubmitAndWait(0, -1)
		require.Zero(t, errno)
		signal(t, fd)
		require.Zero(t, r.Ready())
		_, errno = r.SubmitAndWait(0, -1)
		require.Zero(t, errno)
		require.EqualValues(t, 1, r.Ready())
	})
}

// Ready, Overflowed and TaskrunPending are for any goroutine; the race detector watches.
func TestReadyFromAnotherGoroutine(t *testing.T) {
	r := newRing(t, Params{})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = r.Ready() // may count too many here
				if r.Overflowed() || r.TaskrunPending() || r.Dropped() != 0 {
					panic("impossible")
				}
				runtime.Gosched()
			}
		}
	}()
	for i := range uint64(1000) {
		queue(t, r, i, (*SQE).PrepNop)
		one(t, r, i)
	}
	close(stop)
	<-stopped
}

func TestNoIOWaitWherePresent(t *testing.T) {
	r := newRing(t, Params{})
	require.Equal(t, r.Features().Has(FeatNoIOWait), r.enterFlags&enterNoIOWait != 0)
}

func TestDisabledRing(t *testing.T) {
	r := newRing(t, Params{Flags: SetupRDisabled})
	queue(t, r, 1, (*SQE).PrepNop)
	_, errno := r.SubmitAndWait(1, -1)
	require.Equal(t, syscall.EBADFD, errno)
	require.EqualValues(t, 1, r.Queued())
	require.NoError(t, r.EnableRings())
	one(t, r, 1)
	require.ErrorIs(t, r.EnableRings(), syscall.EBADFD)
}

func TestSingleIssuerBelongsToItsThread(t *testing.T) {
	lockThread(t)
	r := newRing(t, Params{Flags: SetupSingleIssuer | SetupDeferTaskrun})
	queue(t, r, 1, (*SQE).PrepNop)
	errs := make(chan syscall.Errno)
	go func() {
		// This goroutine cannot run on the test's thread, which is locked.
		_, errno := r.SubmitAndReap()
		errs <- errno
	}()
	require.Equal(t, syscall.EEXIST, <-errs)
	require.EqualValues(t, 1, r.Queued())
	one(t, r, 1)
}

// A deferring ring posts nothing before an enter asks for it, and TASKRUN tells that there is something.
func TestTaskrunPending(t *testing.T) {
	lockThread(t)
	r := newRing(t, Params{Flags: SetupSingleIssuer | SetupDeferTaskrun | SetupTaskrunFlag})
	fd := eventFD(t)
	queue(t, r, 1, func(s *SQE) { s.PrepPollAdd(fd, unix.POLLIN) })
	n, errno := r.SubmitAndWait(0, -1)
	require.Zero(t, errno)
	require.EqualValues(t, 1, n)
	require.False(t, r.TaskrunPending())
	signal(t, fd)
	require.True(t, r.TaskrunPending())
	require.Zero(t, r.Ready())
	_, errno = r.SubmitAndWait(0, -1)
	require.Zero(t, errno)
	require.EqualValues(t, 1, r.Ready(), "the flag made the call ask for events")
	require.EqualValues(t, unix.POLLIN, one(t, r, 1).Res)
}

func TestRegisteredRingFD(t *testing.T) {
	need(t, "register.RING_FDS")
	lockThread(t)
	r := newRing(t, Params{})
	require.NoError(t, r.RegisterRingFD())
	require.ErrorIs(t, r.RegisterRingFD(), syscall.EEXIST)
	queue(t, r, 1, (*SQE).PrepNop)
	one(t, r, 1)
	require.NoError(t, r.UnregisterRingFD())
	require.NoError(t, r.UnregisterRingFD(), "twice is harmless")
	queue(t, r, 2, (*SQE).PrepNop)
	one(t, r, 2)
}

func TestAttachWQ(t *testing.T) {
	a := newRing(t, Params{})
	b, err := setupRetry(Params{Flags: SetupAttachWQ, AttachFD: a.FD()})
	require.NoError(t, err)
	require.NoError(t, b.Close())
	_, err = Setup(Params{Flags: SetupAttachWQ, AttachFD: 1 << 20})
	require.ErrorContains(t, err, "AttachFD")
}

func TestCloseIsFinal(t *testing.T) {
	r := newRing(t, Params{Entries: 2})
	queue(t, r, 1, (*SQE).PrepNop)
	b, err := r.RegisterBufRing(3, 4)
	if err == nil {
		b.Add(make([]byte, 8), 0)
	}
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	require.Equal(t, -1, r.FD())
	require.Nil(t, r.GetSQE())
	require.Zero(t, r.Queued())
	require.Zero(t, r.Ready())
	require.False(t, r.Overflowed())
	_, ok := r.Next()
	require.False(t, ok)
	r.PublishHead()
	_, errno := r.SubmitAndWait(1, -1)
	require.Equal(t, syscall.EBADF, errno)
	_, errno = r.SubmitAndReap()
	require.Equal(t, syscall.EBADF, errno)
	_, err = r.Probe()
	require.ErrorIs(t, err, syscall.EBADF)
	if b != nil {
		b.Publish()
		require.NoError(t, b.Close())
	}
}

func TestDescriptorAndMappingsStayInThisProcess(t *testing.T) {
	r := newRing(t, Params{})
	flags, err := unix.FcntlInt(uintptr(r.FD()), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.FD_CLOEXEC)
	// "dc" in VmFlags is VM_DONTCOPY.
	smaps, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	found := 0
	inRing := false
	for _, line := range splitLines(string(smaps)) {
		if hasField(line, "anon_inode:[io_uring]") {
			inRing = true
		} else if inRing && len(line) > 8 && line[:8] == "VmFlags:" {
			require.True(t, hasField(line, "dc"), line)
			found++
			inRing = false
		}
	}
	require.Equal(t, 2, found)
}

func TestSetupRejects(t *testing.T) {
	for name, p := range map[string]Params{
		"Entries":                 {Entries: maxEntries + 1},
		"CQEntries":               {CQEntries: maxCQEntries + 1},
		"below":                   {Entries: 64, CQEntries: 8},
		"SetupCQSize":             {Flags: SetupCQSize},
		"SQPOLL":                  {Flags: SetupSQPoll},
		"CQE32":                   {Flags: SetupCQE32},
		"needs SetupSingleIssuer": {Flags: SetupDeferTaskrun},
		"needs SetupCoopTaskrun":  {Flags: SetupTaskrunFlag},
		"AttachFD":                {AttachFD: 5},
	} {
		r, err := Setup(p)
		require.Nil(t, r)
		require.ErrorIs(t, err, syscall.EINVAL)
		require.ErrorContains(t, err, name)
	}
	r := newRing(t, Params{Entries: 1 << 20, CQEntries: 1 << 21, Flags: SetupClamp})
	require.EqualValues(t, maxEntries, r.SQEntries())
	require.EqualValues(t, maxCQEntries, r.CQEntries())
}

func TestUnknownFlagIsExplained(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	_, err := Setup(Params{Flags: 1 << 31})
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "0x80000000")
	require.ErrorContains(t, err, "Supports")
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	r := newRing(t, Params{Entries: 8})
	buf := make([]byte, 8)
	fd := eventFD(t)
	require.Zero(t, testing.AllocsPerRun(200, func() {
		signal(t, fd)
		r.GetSQE().PrepRead(fd, buf, CurrentPosition)
		r.GetSQE().PrepNop()
		if _, errno := r.SubmitAndWait(2, -1); errno != 0 {
			panic(errno)
		}
		for range 2 {
			if _, ok := r.Next(); !ok {
				panic("missing completion")
			}
		}
		r.PublishHead()
		if _, errno := r.SubmitAndReap(); errno != 0 {
			panic(errno)
		}
	}))
	runtime.KeepAlive(buf)
}

// Any order of taking entries, submitting and reaping keeps order and count: a model of the two queues.
func TestQueuesAgainstModel(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		entries := uint32(1) << rapid.IntRange(0, 4).Draw(t, "entries")
		r, err := setupRetry(Params{Entries: entries, CQEntries: 4 * entries})
		require.NoError(t, err)
		defer r.Close()
		var next, submitted, seen uint64
		t.Repeat(map[string]func(*rapid.T){
			"get": func(t *rapid.T) {
				s := r.GetSQE()
				if next-submitted == uint64(entries) {
					require.Nil(t, s)
					return
				}
				require.NotNil(t, s)
				s.PrepNop()
				s.UserData = next
				next++
			},
			"submit": func(t *rapid.T) {
				if next-seen > uint64(4*entries) {
					return // would overflow; TestOverflow has that
				}
				n, errno := r.SubmitAndWait(0, -1)
				require.Zero(t, errno)
				require.EqualValues(t, next-submitted, n)
				submitted = next
			},
			"reap": func(t *rapid.T) {
				for range rapid.IntRange(0, 8).Draw(t, "count") {
					c, ok := r.Next()
					require.Equal(t, seen < submitted, ok)
					if ok {
						require.Equal(t, seen, c.UserData)
						seen++
					}
				}
				r.PublishHead()
			},
			"": func(t *rapid.T) {
				require.EqualValues(t, next-submitted, r.Queued())
				require.EqualValues(t, submitted-seen, r.Ready())
			},
		})
	})
}

func TestNames(t *testing.T) {
	require.Equal(t, "CLAMP|NO_SQARRAY|0x80000000", (SetupClamp | SetupNoSQArray | 1<<31).String())
	require.Equal(t, "0", SetupFlags(0).String())
	require.Equal(t, "EXT_ARG|NO_IOWAIT", (FeatExtArg | FeatNoIOWait).String())
	require.Equal(t, "PIPE", OpName(62))
	require.Equal(t, "200", OpName(200))
	require.Len(t, setupNames, 21)
	require.Equal(t, SetupFlags(1<<20), SetupSQRewind)
	require.Equal(t, Features(1<<17), FeatNoIOWait)
	require.Equal(t, "62", strconv.Itoa(int(OpPipe)))
}
