//go:build linux

package reactorfallback

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConfigLimits(t *testing.T) {
	for name, c := range map[string]Config{
		"Events": {Events: -1}, "Config.Events": {Events: maxEvents + 1},
		"Burst": {Burst: -1}, "Config.Burst": {Burst: maxBurst + 1},
		"IdleAfter": {IdleAfter: -1}, "Config.IdleAfter": {IdleAfter: maxIdleAfter + 1},
		"buffers": {Buffers: buffers.GroupConfig{Count: -1}},
	} {
		_, err := New(c)
		require.ErrorContains(t, err, name)
	}
}

// Messages that find no room while the descriptor cannot be watched, as when the limit of watches is reached, end with that
// error, all of them.
func TestUnwatchableSends(t *testing.T) {
	r := start(t, Config{})
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	for err == nil {
		err = unix.Sendto(p[0], []byte("full"), unix.MSG_DONTWAIT, nil)
	}
	require.ErrorIs(t, err, unix.EAGAIN)
	var ended int
	ops := make([]op.Op, 3)
	for i := range ops {
		ops[i] = op.Op{Kind: op.SendMsg, FD: int32(p[0]), Done: done(func(_ *op.Op, c *op.Completion) {
			require.Equal(t, syscall.EBADF, c.Errno)
			ended++
		})}
		ops[i].SetMsg(&unix.Msghdr{})
		require.NoError(t, r.Submit(&ops[i]))
	}
	set := r.epfd
	r.epfd = -1
	r.sendSubmitted()
	r.epfd = set
	poll(t, r, 0)
	require.Equal(t, len(ops), ended)
}

// Several sends on one descriptor go out and end in the order of their submission, also when all but the first wait.
func TestSendsKeepOrder(t *testing.T) {
	r := start(t, Config{})
	fd, peer := tcpPair(t)
	var order []int
	const sends, size = 5, 4 << 20
	ops := make([]op.Op, sends)
	for i := range ops {
		buf := make([]byte, size)
		for j := range buf {
			buf[j] = byte(i)
		}
		ops[i] = op.Op{Kind: op.Send, FD: fd, Buf: buf, Done: done(func(_ *op.Op, c *op.Completion) {
			require.Equal(t, int32(size), c.Result)
			order = append(order, i)
		})}
		require.NoError(t, r.Submit(&ops[i]))
	}
	got, buf := 0, make([]byte, 1<<20)
	for len(order) < sends || got < sends*size {
		if n, errno := recv(peer, buf); errno == 0 {
			for _, b := range buf[:n] {
				if int(b) != got/size {
					t.Fatalf("byte %d belongs to send %d", got, b)
				}
				got++
			}
		}
		poll(t, r, 0)
	}
	require.Equal(t, []int{0, 1, 2, 3, 4}, order)
}

// A peer that has much to say gets Burst completions a Poll; the other one is served in the same Poll.
func TestBurstIsFair(t *testing.T) {
	r := start(t, Config{Burst: 2, Buffers: buffers.GroupConfig{Size: 512, Count: 8}})
	loud, loudPeer := tcpPair(t)
	quiet, quietPeer := tcpPair(t)
	counts := map[int32]int{}
	d := done(func(o *op.Op, c *op.Completion) {
		counts[o.FD]++
		c.Lease.Release()
	})
	a, b := op.Op{Kind: op.Recv, FD: loud, Done: d}, op.Op{Kind: op.Recv, FD: quiet, Done: d}
	require.NoError(t, r.Submit(&a))
	require.NoError(t, r.Submit(&b))
	send(loudPeer, make([]byte, 512*10))
	send(quietPeer, make([]byte, 1))
	arrived(t, loud, 512*10)
	arrived(t, quiet, 1)
	for polls := 1; counts[loud] < 10; polls++ {
		poll(t, r, -1)
		require.LessOrEqual(t, counts[loud], 2*polls)
		require.Equal(t, 1, counts[quiet])
	}
}

// arrived waits until n bytes can be read from fd: the kernel may hand over later what was sent on the same machine.
func arrived(t *testing.T, fd int32, n int) {
	require.Eventually(t, func() bool {
		there, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		return err == nil && there >= n
	}, 30*time.Second, time.Millisecond)
}

// The costs that the package promises: one registration for the life of the connection, one receive and one send an
// echo, one epoll_wait a batch.
func TestSyscallsAreExact(t *testing.T) {
	r := start(t, Config{})
	r.ticking = true // the tick costs one more per millisecond, however many echoes
	const conns, rounds = 20, 50
	sent := 0
	var peers []int32
	outs := make([]op.Op, conns)
	ins := make([]op.Op, conns)
	for i := range conns {
		fd, peer := tcpPair(t)
		peers = append(peers, peer)
		outs[i] = op.Op{Kind: op.Send, FD: fd, Buf: make([]byte, 64), Done: done(func(*op.Op, *op.Completion) { sent++ })}
		ins[i] = op.Op{Kind: op.Recv, FD: fd, Done: done(func(_ *op.Op, c *op.Completion) {
			if c.Lease.Valid() {
				c.Lease.Release()
				require.NoError(t, r.Submit(&outs[i]))
			}
		})}
		require.NoError(t, r.Submit(&ins[i]))
	}
	poll(t, r, 0)
	// conns registrations, one epoll_wait.
	require.Equal(t, uint64(conns+1), r.Stats().Syscalls)
	round := func(n int) {
		for _, p := range peers {
			send(p, make([]byte, 64))
		}
		for sent < n*conns {
			poll(t, r, -1)
		}
	}
	round(1) // asks once a connection whether it is TCP
	// A round in which the kernel brings the messages in several batches, as it does where it is short of time, takes an
	// epoll_wait for each.
	end := time.Now().Add(30 * time.Second)
	for i, exact := 2, 0; exact < rounds; i++ {
		require.True(t, time.Now().Before(end), "%d rounds of %d were exact", exact, i)
		before := r.Stats().Syscalls
		round(i)
		calls := r.Stats().Syscalls - before
		require.GreaterOrEqual(t, calls, uint64(2*conns+1))
		if calls == 2*conns+1 {
			exact++
		}
	}
}

// What waits for readiness costs nothing until it comes: a Poll asks the kernel once and touches nothing else.
func TestWaitingDoesNotSpin(t *testing.T) {
	r := start(t, Config{})
	fd, peer := tcpPair(t)
	d := done(func(_ *op.Op, c *op.Completion) { c.Lease.Release() })
	in, out := op.Op{Kind: op.Recv, FD: fd, Done: d}, op.Op{Kind: op.Send, FD: fd, Buf: make([]byte, 32<<20), Done: d}
	require.NoError(t, r.Submit(&out))
	require.NoError(t, r.Submit(&in))
	send(peer, []byte("x"))
	poll(t, r, -1)
	// Room for a part of the rest, so that the send goes on and stops again.
	for buf, polls := make([]byte, 1<<20), 0; polls < 20; polls++ {
		if polls < 10 {
			recv(peer, buf)
		}
		poll(t, r, time.Millisecond)
	}
	require.Equal(t, 2, r.InFlight())
	require.Eventually(t, func() bool { // until the last of that room has been noticed
		before, ended := r.Stats().Syscalls, 0
		for range 10 {
			ended += poll(t, r, 0)
		}
		return ended == 0 && r.Stats().Syscalls-before == 10
	}, 30*time.Second, time.Millisecond)
	r.Cancel(&in)
	r.Cancel(&out)
	poll(t, r, -1)
}

// Both orders of registration trouble: a number that was closed and opened again without Forget, and one whose
// registration is there although the reactor was told to forget it.
func TestRegistrationIsFoundOut(t *testing.T) {
	r := start(t, Config{})
	fd, peer := pair(t)
	got := 0
	o := op.Op{Kind: op.Recv, FD: fd, Done: done(func(_ *op.Op, c *op.Completion) { got += c.Lease.Len(); c.Lease.Release() })}
	cycle := func(peer int32) {
		t.Helper()
		want := got + 1
		require.NoError(t, r.Submit(&o))
		send(peer, []byte("x"))
		for got < want {
			poll(t, r, -1)
		}
		r.Cancel(&o)
		for o.InFlight() {
			poll(t, r, -1)
		}
	}
	cycle(peer)
	// Another file under the same number, silently.
	fd2, peer2 := pair(t)
	require.NoError(t, unix.Dup3(int(fd2), int(fd), unix.O_CLOEXEC))
	cycle(peer2)
	// A registration that is there already.
	r.files.find(fd).registered = false
	cycle(peer2)
	r.Forget(int(fd))
	require.Equal(t, syscall.ENOENT, r.epollCtl(unix.EPOLL_CTL_DEL, fd, 0, 0), "Forget must end the registration")
	cycle(peer2)
	// Not while in use, and not for strangers.
	require.NoError(t, r.Submit(&o))
	r.Forget(int(fd))
	r.Forget(-1)
	r.Forget(1 << 30)
	require.True(t, r.files.find(fd).registered)
	r.Cancel(&o)
	poll(t, r, -1)
}

// An event under an older generation is nobody's.
func TestStaleEventIsDropped(t *testing.T) {
	r := start(t, Config{})
	fd, _ := pair(t)
	o := op.Op{Kind: op.Poll, FD: fd, Events: unix.EPOLLIN, Done: done(func(*op.Op, *op.Completion) { t.Error("told of a stale event") })}
	require.NoError(t, r.Submit(&o))
	f := r.files.find(fd)
	r.handle(fd, f.gen-1, unix.EPOLLIN)
	r.handle(1<<30, 1, unix.EPOLLIN)
	require.Zero(t, f.ready)
	o.Done = done(func(*op.Op, *op.Completion) {})
	r.handle(fd, f.gen, unix.EPOLLIN)
	require.False(t, o.InFlight())
}

// What epoll refuses to watch is always ready.
func TestRegularFile(t *testing.T) {
	r := start(t, Config{})
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	defer file.Close()
	var c op.Completion
	ended := 0
	d := done(func(_ *op.Op, x *op.Completion) { c = *x; ended++ })
	for i, x := range []struct {
		op     op.Op
		result int32
		errno  syscall.Errno
	}{
		{op.Op{Kind: op.Poll, Events: unix.EPOLLIN}, unix.EPOLLIN, 0},
		{op.Op{Kind: op.Recv}, 0, syscall.ENOTSOCK},
		{op.Op{Kind: op.RecvInto, Buf: make([]byte, 1)}, 0, syscall.ENOTSOCK},
		{op.Op{Kind: op.Send, Buf: make([]byte, 1)}, 0, syscall.ENOTSOCK},
		{op.Op{Kind: op.Accept}, 0, syscall.ENOTSOCK},
		{op.Op{Kind: op.Connect}, 0, syscall.ENOTSOCK},
	} {
		x.op.FD, x.op.Done = int32(file.Fd()), d
		require.NoError(t, r.Submit(&x.op))
		for ended == i {
			poll(t, r, time.Second)
		}
		require.Equal(t, x.result, c.Result, "%v", x.op.Kind)
		require.Equal(t, x.errno, c.Errno, "%v", x.op.Kind)
	}
}

// A completer that panics takes nothing with it but its own completion.
func TestPanicLosesNothing(t *testing.T) {
	r := start(t, Config{})
	const n = 10
	told := map[int]int{}
	var ops []*op.Op
	submit := func(o op.Op) {
		i := len(ops)
		o.Done = done(func(*op.Op, *op.Completion) {
			told[i]++
			if i%3 == 0 {
				panic("completer")
			}
		})
		ops = append(ops, &o)
		require.NoError(t, r.Submit(&o))
	}
	for range n {
		submit(op.Op{Kind: op.Nop})
		fd, peer := pair(t)
		send(peer, []byte("x"))
		submit(op.Op{Kind: op.RecvInto, FD: fd, Buf: make([]byte, 1)})
	}
	for r.InFlight() > 0 {
		func() {
			defer func() { _ = recover() }()
			poll(t, r, -1)
		}()
	}
	for i := range ops {
		require.Equal(t, 1, told[i], "operation %d", i)
	}
}

// A reactor whose descriptor was closed by somebody else says so, and goes on saying so.
func TestBroken(t *testing.T) {
	r, err := New(Config{})
	require.NoError(t, err)
	require.NoError(t, unix.Close(r.epfd))
	for range 2 {
		_, err = r.Poll(0)
		require.ErrorIs(t, err, syscall.EBADF)
	}
	o := op.Op{}
	require.ErrorIs(t, r.Submit(&o), op.ErrClosed)
	r.epfd = -1
	require.NoError(t, r.Close())
}

func TestBackendFacts(t *testing.T) {
	r := start(t, Config{})
	require.False(t, r.Batches())
	require.Equal(t, unix.O_NONBLOCK, r.FileFlags())
	require.NotNil(t, r.Buffers())
}
