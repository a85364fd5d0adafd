//go:build linux

package uring

import (
	"bytes"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const group = 7

// newBufRing registers n buffers of size bytes; buffer i is mem[i*size:(i+1)*size].
func newBufRing(t testing.TB, r *Ring, n, size int) (b *BufRing, mem []byte) {
	t.Helper()
	need(t, "register.PBUF_RING")
	b, err := r.RegisterBufRing(group, uint32(n))
	require.NoError(t, err)
	require.EqualValues(t, n, b.Entries())
	require.EqualValues(t, group, b.Group())
	mem = make([]byte, n*size)
	for i := range n {
		b.Add(mem[i*size:(i+1)*size], uint16(i))
	}
	b.Publish()
	t.Cleanup(func() { runtime.KeepAlive(mem) })
	return b, mem
}

func TestAcceptAndConnect(t *testing.T) {
	r := newRing(t, Params{})
	l, addr := listenTCP(t)
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closeLater(t, c)
	peer, n := new(unix.RawSockaddrAny), new(uint32)
	*n = unix.SizeofSockaddrAny
	raw := rawInet4(addr.Port)
	queue(t, r, 1, func(s *SQE) { s.PrepAcceptAddr(l, peer, n, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK) })
	queue(t, r, 2, func(s *SQE) { s.PrepConnect(c, raw) })
	got := byName(t, r, 2)
	require.Zero(t, got[2].Res)
	fd := int(got[1].Res)
	require.Positive(t, fd)
	closeLater(t, fd)
	require.EqualValues(t, unix.SizeofSockaddrInet4, *n)
	require.EqualValues(t, unix.AF_INET, peer.Addr.Family)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.O_NONBLOCK)
	runtime.KeepAlive(raw)
}

func TestConnectRefused(t *testing.T) {
	r := newRing(t, Params{})
	l, addr := listenTCP(t)
	require.NoError(t, unix.Shutdown(l, unix.SHUT_RDWR)) // ends listening, keeps the port
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closeLater(t, c)
	raw := rawInet4(addr.Port)
	queue(t, r, 1, func(s *SQE) { s.PrepConnect(c, raw) })
	require.Equal(t, res(syscall.ECONNREFUSED), one(t, r, 1).Res)
	runtime.KeepAlive(raw)
}

func TestAcceptMultishot(t *testing.T) {
	need(t, "use.accept-multishot")
	r := newRing(t, Params{})
	l, addr := listenTCP(t)
	queue(t, r, 1, func(s *SQE) { s.PrepAcceptMultishot(l, unix.SOCK_CLOEXEC) })
	for range 3 {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Connect(c, addr))
		cqe := one(t, r, 1)
		require.True(t, cqe.More())
		require.Positive(t, cqe.Res)
		require.NoError(t, unix.Close(int(cqe.Res)))
		require.NoError(t, unix.Close(c))
	}
	queue(t, r, 2, func(s *SQE) { s.PrepCancel(1, 0) })
	got := byName(t, r, 2)
	require.Zero(t, got[2].Res)
	last := got[1]
	require.Equal(t, res(syscall.ECANCELED), last.Res)
	require.False(t, last.More())
}

func TestSendAndRecv(t *testing.T) {
	r := newRing(t, Params{})
	a, b := tcpPair(t)
	out, in := []byte("hello"), make([]byte, 8)
	queue(t, r, 1, func(s *SQE) { s.PrepRecv(b, in, 0) })
	queue(t, r, 2, func(s *SQE) { s.PrepSend(a, out, unix.MSG_NOSIGNAL) })
	got := byName(t, r, 2)
	require.EqualValues(t, 5, got[1].Res)
	require.EqualValues(t, 5, got[2].Res)
	require.Equal(t, "hello", string(in[:5]))

	need(t, "op.SHUTDOWN")
	queue(t, r, 3, func(s *SQE) { s.PrepShutdown(a, unix.SHUT_WR) })
	require.Zero(t, one(t, r, 3).Res)
	queue(t, r, 4, func(s *SQE) { s.PrepRecv(b, in, 0) })
	require.Zero(t, one(t, r, 4).Res, "end of file")
	queue(t, r, 5, func(s *SQE) { s.PrepSend(a, out, unix.MSG_NOSIGNAL) })
	require.Equal(t, res(syscall.EPIPE), one(t, r, 5).Res)
	runtime.KeepAlive(out)
}

func TestSendMsgAndRecvMsg(t *testing.T) {
	r := newRing(t, Params{})
	a, b := tcpPair(t)
	parts := [][]byte{[]byte("he"), []byte("llo")}
	iovs := make([]unix.Iovec, 2)
	for i := range parts {
		iovs[i].Base = &parts[i][0]
		iovs[i].SetLen(len(parts[i]))
	}
	out := &unix.Msghdr{Iov: &iovs[0]}
	out.SetIovlen(2)
	buf := make([]byte, 8)
	iov := &unix.Iovec{Base: &buf[0]}
	iov.SetLen(len(buf))
	in := &unix.Msghdr{Iov: iov}
	in.SetIovlen(1)
	queue(t, r, 1, func(s *SQE) { s.PrepSendMsg(a, out, unix.MSG_NOSIGNAL) })
	require.EqualValues(t, 5, one(t, r, 1).Res)
	queue(t, r, 2, func(s *SQE) { s.PrepRecvMsg(b, in, 0) })
	require.EqualValues(t, 5, one(t, r, 2).Res)
	require.Equal(t, "hello", string(buf[:5]))
	runtime.KeepAlive(parts)
}

func TestSendZC(t *testing.T) {
	need(t, "op.SEND_ZC")
	r := newRing(t, Params{})
	a, b := tcpPair(t)
	buf := bytes.Repeat([]byte("z"), 4096)
	queue(t, r, 1, func(s *SQE) { s.PrepSendZC(a, buf, unix.MSG_NOSIGNAL, 0) })
	in := make([]byte, len(buf))
	queue(t, r, 2, func(s *SQE) { s.PrepRecv(b, in, unix.MSG_WAITALL) })
	var sent, notified bool
	for _, c := range take(t, r, 3) {
		switch {
		case c.UserData == 2:
			require.EqualValues(t, len(buf), c.Res)
		case c.Notif():
			require.True(t, sent, "the notification comes after the result")
			require.False(t, c.More())
			notified = true
		default:
			require.EqualValues(t, len(buf), c.Res)
			require.True(t, c.More())
			sent = true
		}
	}
	require.True(t, notified)
	require.Equal(t, buf, in)
}

func TestDatagramTo(t *testing.T) {
	need(t, "op.SEND_ZC") // plain sends took an address in 6.2, zero-copy ones in 6.0
	r := newRing(t, Params{})
	udp := func() int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		closeLater(t, fd)
		require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		return fd
	}
	a, b := udp(), udp()
	sa, err := unix.Getsockname(b)
	require.NoError(t, err)
	to := rawInet4(sa.(*unix.SockaddrInet4).Port)
	out, in := []byte("ping"), make([]byte, 8)
	queue(t, r, 1, func(s *SQE) { s.PrepSendZC(a, out, 0, 0); s.SetSendAddr(to) })
	queue(t, r, 2, func(s *SQE) { s.PrepRecv(b, in, 0) })
	for _, c := range take(t, r, 3) {
		if !c.Notif() {
			require.EqualValues(t, 4, c.Res)
		}
	}
	require.Equal(t, "ping", string(in[:4]))
	runtime.KeepAlive(to)
	runtime.KeepAlive(out)
}

// The whole life of a listener on the ring.
func TestSocketBindListen(t *testing.T) {
	need(t, "op.SOCKET", "op.BIND", "op.LISTEN")
	r := newRing(t, Params{})
	queue(t, r, 1, func(s *SQE) { s.PrepSocket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) })
	fd := int(one(t, r, 1).Res)
	require.Positive(t, fd)
	any := rawInet4(0)
	queue(t, r, 2, func(s *SQE) { s.PrepBind(fd, any) })
	require.Zero(t, one(t, r, 2).Res)
	queue(t, r, 3, func(s *SQE) { s.PrepListen(fd, 4) })
	require.Zero(t, one(t, r, 3).Res)
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	require.NoError(t, err)
	require.Equal(t, 1, v)
	queue(t, r, 4, func(s *SQE) { s.PrepClose(fd) })
	require.Zero(t, one(t, r, 4).Res)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.ErrorIs(t, err, syscall.EBADF)
	runtime.KeepAlive(any)
}

// Buffers come back by id, run out with ENOBUFS, and are good again once returned.
func TestRecvMultishotAndExhaustion(t *testing.T) {
	need(t, "use.recv-multishot")
	r := newRing(t, Params{})
	b, mem := newBufRing(t, r, 2, 4)
	x, y := tcpPair(t)
	arm := func() { queue(t, r, 1, func(s *SQE) { s.PrepRecvMultishot(x, group) }) }
	arm()
	used := map[uint16]bool{}
	for _, text := range []string{"aaaa", "bbbb"} {
		_, err := unix.Write(y, []byte(text))
		require.NoError(t, err)
		c := one(t, r, 1)
		require.EqualValues(t, 4, c.Res)
		id, ok := c.Buffer()
		require.True(t, ok)
		require.False(t, used[id])
		used[id] = true
		require.Equal(t, text, string(mem[int(id)*4:int(id)*4+4]))
	}
	_, err := unix.Write(y, []byte("cccc"))
	require.NoError(t, err)
	c := one(t, r, 1)
	require.Equal(t, res(syscall.ENOBUFS), c.Res)
	require.False(t, c.More())
	_, ok := c.Buffer()
	require.False(t, ok)

	b.Add(mem[4:8], 1)
	b.Publish()
	arm()
	c = one(t, r, 1)
	require.EqualValues(t, 4, c.Res, "the data waited in the socket")
	require.Equal(t, "cccc", string(mem[4:8]))
	b.Add(mem[0:4], 0)
	b.Publish()
	if !c.More() {
		arm()
	}
	require.NoError(t, unix.Shutdown(y, unix.SHUT_WR))
	c = one(t, r, 1)
	if c.Res == res(syscall.ENOBUFS) {
		// Older kernels (6.1) go round once more at once, while no buffer is there.
		require.False(t, c.More())
		arm()
		c = one(t, r, 1)
	}
	require.Zero(t, c.Res, "end of file")
	require.False(t, c.More())
}

// More buffers than 16 bits count go through the ring, so its indices and its tail wrap; every byte arrives in order.
func TestBufRingWraps(t *testing.T) {
	need(t, "use.recv-multishot")
	const n, rounds = 512, 140
	r := newRing(t, Params{Entries: 4, CQEntries: 4 * n})
	b, mem := newBufRing(t, r, n, 1)
	x, y := tcpPair(t)
	armed := false
	out := make([]byte, n-1)
	var next byte
	for range rounds {
		for i := range out {
			out[i] = next + byte(i)
		}
		_, err := unix.Write(y, out)
		require.NoError(t, err)
		for range out {
			if !armed {
				queue(t, r, 1, func(s *SQE) { s.PrepRecvMultishot(x, group) })
			}
			c := take(t, r, 1)[0]
			id, ok := c.Buffer()
			if c.Res != 1 || !ok || mem[id] != next {
				t.Fatalf("%+v: got %d, want %d", c, mem[id], next)
			}
			next++
			b.Add(mem[id:id+1], id)
			b.Publish()
			armed = c.More()
		}
	}
}

// With POLL_FIRST a receive waits on an empty group instead of failing at once.
func TestPollFirstWaitsWithoutBuffers(t *testing.T) {
	need(t, "use.recv-multishot", "use.poll-first")
	r := newRing(t, Params{})
	b, err := r.RegisterBufRing(group, 1)
	require.NoError(t, err)
	x, y := tcpPair(t)
	queue(t, r, 1, func(s *SQE) { s.PrepRecvMultishot(x, group) })
	require.Equal(t, res(syscall.ENOBUFS), one(t, r, 1).Res)
	queue(t, r, 2, func(s *SQE) { s.PrepRecvMultishot(x, group); s.IoPrio |= PollFirst })
	_, errno := r.SubmitAndReap()
	require.Zero(t, errno)
	require.Zero(t, r.Ready())
	mem := make([]byte, 4)
	b.Add(mem, 9)
	b.Publish()
	_, err = unix.Write(y, []byte("late"))
	require.NoError(t, err)
	c := one(t, r, 2)
	require.EqualValues(t, 4, c.Res)
	id, _ := c.Buffer()
	require.EqualValues(t, 9, id)
	require.Equal(t, "late", string(mem))
}

func TestBufRingAvailableAndErrors(t *testing.T) {
	r := newRing(t, Params{})
	for _, n := range []uint32{0, 3, 65536} {
		_, err := r.RegisterBufRing(1, n)
		require.ErrorIs(t, err, syscall.EINVAL)
		require.ErrorContains(t, err, "power of two")
	}
	b, mem := newBufRing(t, r, 4, 8)
	_, err := r.RegisterBufRing(group, 4)
	require.ErrorIs(t, err, syscall.EEXIST)
	if n, err := b.Available(); err == nil {
		require.EqualValues(t, 4, n)
		x, y := tcpPair(t)
		_, err := unix.Write(y, []byte("x"))
		require.NoError(t, err)
		queue(t, r, 1, func(s *SQE) { s.PrepRecvSelect(x, group, 0) })
		require.EqualValues(t, 1, one(t, r, 1).Res)
		n, err = b.Available()
		require.NoError(t, err)
		require.EqualValues(t, 3, n)
	}
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
	b, err = r.RegisterBufRing(group, 32768)
	require.NoError(t, err, "the group is free again")
	require.NoError(t, b.Close())
	runtime.KeepAlive(mem)
}

func TestCancel(t *testing.T) {
	r := newRing(t, Params{})
	x, _ := tcpPair(t)
	buf := make([]byte, 8)
	queue(t, r, 1, func(s *SQE) { s.PrepCancel(99, 0) })
	require.Equal(t, res(syscall.ENOENT), one(t, r, 1).Res)

	queue(t, r, 2, func(s *SQE) { s.PrepRecv(x, buf, 0) })
	queue(t, r, 3, func(s *SQE) { s.PrepCancel(2, 0) })
	got := byName(t, r, 2)
	require.Equal(t, res(syscall.ECANCELED), got[2].Res)
	require.Zero(t, got[3].Res)

	need(t, "use.cancel-fd-all")
	for i := range uint64(3) {
		queue(t, r, 10+i, func(s *SQE) { s.PrepRecv(x, buf, 0) })
	}
	queue(t, r, 20, func(s *SQE) { s.PrepCancelFD(x, CancelAll) })
	got = byName(t, r, 4)
	require.EqualValues(t, 3, got[20].Res)
	for i := range uint64(3) {
		require.Equal(t, res(syscall.ECANCELED), got[10+i].Res)
	}

	need(t, "register.SYNC_CANCEL")
	queue(t, r, 30, func(s *SQE) { s.PrepRecv(x, buf, 0) })
	_, errno := r.SubmitAndReap()
	require.Zero(t, errno)
	_, err := r.SyncCancel(30, 0, 0, time.Second)
	require.NoError(t, err)
	require.Equal(t, res(syscall.ECANCELED), one(t, r, 30).Res)
	_, err = r.SyncCancel(30, 0, 0, -1)
	require.ErrorIs(t, err, syscall.ENOENT)
}

func TestPolls(t *testing.T) {
	r := newRing(t, Params{})
	fd := eventFD(t)
	queue(t, r, 1, func(s *SQE) { s.PrepPollAdd(fd, unix.POLLOUT) })
	require.EqualValues(t, unix.POLLOUT, one(t, r, 1).Res)
	queue(t, r, 2, func(s *SQE) { s.PrepPollAdd(fd, unix.POLLIN) })
	queue(t, r, 3, func(s *SQE) { s.PrepPollRemove(2) })
	got := byName(t, r, 2)
	require.Equal(t, res(syscall.ECANCELED), got[2].Res)
	require.Zero(t, got[3].Res)

	need(t, "use.poll-multishot")
	queue(t, r, 4, func(s *SQE) { s.PrepPollMultishot(fd, unix.POLLIN) })
	_, errno := r.SubmitAndReap()
	require.Zero(t, errno)
	for range 3 {
		signal(t, fd)
		c := one(t, r, 4)
		require.True(t, c.More())
		require.NotZero(t, c.Res&unix.POLLIN)
	}
}

func TestTimeouts(t *testing.T) {
	r := newRing(t, Params{})
	short, long := TimespecOf(time.Millisecond), TimespecOf(time.Hour)
	queue(t, r, 1, func(s *SQE) { s.PrepTimeout(&short, 0, 0) })
	require.Equal(t, res(syscall.ETIME), one(t, r, 1).Res)

	queue(t, r, 2, func(s *SQE) { s.PrepTimeout(&long, 0, 0) })
	queue(t, r, 3, func(s *SQE) { s.PrepTimeoutRemove(2) })
	got := byName(t, r, 2)
	require.Equal(t, res(syscall.ECANCELED), got[2].Res)
	require.Zero(t, got[3].Res)

	queue(t, r, 4, func(s *SQE) { s.PrepTimeout(&long, 1, 0) })
	queue(t, r, 5, (*SQE).PrepNop)
	got = byName(t, r, 2)
	require.Zero(t, got[4].Res, "one completion was the count")

	if r.Features().Has(FeatExtArg) { // of the same kernel as updates, 5.11
		queue(t, r, 6, func(s *SQE) { s.PrepTimeout(&long, 0, 0) })
		queue(t, r, 7, func(s *SQE) { s.PrepTimeoutUpdate(6, &short, 0) })
		got = byName(t, r, 2)
		require.Equal(t, res(syscall.ETIME), got[6].Res)
		require.Zero(t, got[7].Res)
	}

	x, _ := tcpPair(t)
	buf := make([]byte, 1)
	queue(t, r, 8, func(s *SQE) { s.PrepRecv(x, buf, 0); s.Flags |= SQEIOLink })
	queue(t, r, 9, func(s *SQE) { s.PrepLinkTimeout(&short, 0) })
	got = byName(t, r, 2)
	require.Equal(t, res(syscall.ECANCELED), got[8].Res)
	require.Equal(t, res(syscall.ETIME), got[9].Res)
	require.Equal(t, Timespec{Sec: 1, Nsec: 5}, TimespecOf(time.Second+5))
	require.Equal(t, Timespec{}, TimespecOf(-time.Second))
}

func TestMsgRing(t *testing.T) {
	need(t, "op.MSG_RING")
	a, b := newRing(t, Params{}), newRing(t, Params{})
	queue(t, a, 1, func(s *SQE) { s.PrepMsgRing(b.FD(), 77, -5) })
	require.Zero(t, one(t, a, 1).Res)
	require.Equal(t, CQE{UserData: 77, Res: -5}, take(t, b, 1)[0])

	need(t, "use.msg-ring-flags")
	queue(t, a, 2, func(s *SQE) { s.PrepMsgRingFlags(b.FD(), 78, 1, CQEMore) })
	require.Zero(t, one(t, a, 2).Res)
	require.Equal(t, CQE{UserData: 78, Res: 1, Flags: CQEMore}, take(t, b, 1)[0])
}

func TestMsgRingPassesFiles(t *testing.T) {
	need(t, "op.MSG_RING", "register.FILES_SPARSE", "use.direct-alloc")
	a, b := newRing(t, Params{}), newRing(t, Params{})
	fd := eventFD(t)
	require.NoError(t, a.RegisterFiles([]int32{int32(fd)}))
	require.NoError(t, b.RegisterFilesSparse(4))
	queue(t, a, 1, func(s *SQE) { s.PrepMsgRingFD(b.FD(), 0, 2, 5, 0) })
	require.GreaterOrEqual(t, one(t, a, 1).Res, int32(0))
	require.EqualValues(t, 5, take(t, b, 1)[0].UserData)
	queue(t, b, 2, func(s *SQE) { s.PrepPollAdd(2, unix.POLLOUT); s.Flags |= SQEFixedFile })
	require.EqualValues(t, unix.POLLOUT, one(t, b, 2).Res)
}

func TestFutex(t *testing.T) {
	need(t, "use.futex")
	r := newRing(t, Params{})
	word := new(uint32)
	queue(t, r, 1, func(s *SQE) { s.PrepFutexWait(word, 0) })
	queue(t, r, 2, func(s *SQE) { s.PrepFutexWake(word, 1) })
	got := byName(t, r, 2)
	require.Zero(t, got[1].Res)
	require.EqualValues(t, 1, got[2].Res)
}
