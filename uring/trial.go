//go:build linux

package uring

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// trial is a small ring of its own for one probe by use, with the descriptors that it made. What is in flight at the
// end goes with the ring. Its methods stop doing anything after the first error, which answer looks at.
type trial struct {
	r    *Ring
	fds  []int
	bufs *BufRing
	err  error
}

// trialTimeout only guards against a kernel that never answers; every probe's answer is there at once.
const trialTimeout = 2 * time.Second

var errNoAnswer = errors.New("no completion came")

func newTrial() *trial {
	t := &trial{}
	t.r, t.err = Setup(Params{Entries: 4, CQEntries: 16})
	return t
}

func (t *trial) close() {
	if t.r != nil {
		t.r.Close()
	}
	for _, fd := range t.fds {
		_ = unix.Close(fd)
	}
}

func (t *trial) own(fd int, err error) int {
	if err != nil {
		t.fail(err)
		return -1
	}
	t.fds = append(t.fds, fd)
	return fd
}

// fail keeps the first error; nil is none.
func (t *trial) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// submit queues an entry that prep fills.
func (t *trial) submit(userData uint64, prep func(s *SQE)) {
	if t.err != nil {
		return
	}
	s := t.r.GetSQE()
	prep(s)
	s.UserData = userData
}

// wait submits and takes n completions. It polls, because a wait with a timeout is itself something to be probed.
func (t *trial) wait(n int) []CQE {
	var cs []CQE
	for start := time.Now(); t.err == nil; {
		if _, errno := t.r.SubmitAndReap(); errno != 0 && errno != syscall.EINTR && errno != syscall.EAGAIN {
			t.fail(errno)
			break
		}
		for len(cs) < n {
			c, ok := t.r.Next()
			if !ok {
				break
			}
			cs = append(cs, c)
		}
		t.r.PublishHead()
		if len(cs) == n {
			return cs
		}
		if time.Since(start) > trialTimeout {
			t.fail(errNoAnswer)
			break
		}
		time.Sleep(100 * time.Microsecond)
	}
	return make([]CQE, n)
}

// answer is unknown after an error of the trial itself, no when the first negative result says that the kernel does
// not know what was asked, yes when seen is true.
func (t *trial) answer(seen bool, cs ...CQE) (State, string) {
	if t.err != nil {
		return judgeErr(t.err)
	}
	for _, c := range cs {
		if c.Res < 0 {
			return judge(syscall.Errno(-c.Res))
		}
	}
	return yesIf(seen)
}

func (t *trial) socketpair() (a, b int) {
	if t.err != nil {
		return -1, -1
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.fail(err)
		return -1, -1
	}
	t.fds = append(t.fds, fds[0], fds[1])
	return fds[0], fds[1]
}

func (t *trial) eventfd() int {
	if t.err != nil {
		return -1
	}
	return t.own(unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK))
}

// listener listens on an abstract Unix address that the kernel picks.
func (t *trial) listener() (fd int, addr unix.Sockaddr) {
	if t.err != nil {
		return -1, nil
	}
	fd = t.own(unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	if t.err == nil {
		t.fail(unix.Bind(fd, &unix.SockaddrUnix{}))
	}
	if t.err == nil {
		t.fail(unix.Listen(fd, 4))
	}
	if t.err == nil {
		var err error
		addr, err = unix.Getsockname(fd)
		t.fail(err)
	}
	return fd, addr
}

func (t *trial) connect(addr unix.Sockaddr) {
	if t.err != nil {
		return
	}
	fd := t.own(unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	if t.err == nil {
		t.fail(unix.Connect(fd, addr))
	}
}

func (t *trial) write(fd int, p string) {
	if t.err == nil {
		_, err := unix.Write(fd, []byte(p))
		t.fail(err)
	}
}

// provide registers a buffer ring with n buffers of the given size.
func (t *trial) provide(n uint32, size int, incremental bool) {
	if t.err != nil {
		return
	}
	if incremental {
		t.bufs, t.err = t.r.RegisterBufRingIncremental(trialGroup, n)
	} else {
		t.bufs, t.err = t.r.RegisterBufRing(trialGroup, n)
	}
	if t.err != nil {
		return
	}
	mem := make([]byte, int(n)*size)
	for i := range int(n) {
		t.bufs.Add(mem[i*size:(i+1)*size], uint16(i))
	}
	t.bufs.Publish()
}
