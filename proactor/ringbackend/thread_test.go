//go:build linux

package ringbackend

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// hangs guards against a test that would never end.
const hangs = 30 * time.Second

// onThread runs f on a thread of its own and returns the thread's id. The thread lives until stop is called, which waits
// for its end where the thread dies: it always does, unless it was the process's first, which cannot end.
func onThread(t *testing.T, f func()) (tid int, stop func()) {
	ran, leave := make(chan int), make(chan bool)
	var run func()
	run = func() {
		runtime.LockOSThread() // and it ends locked, so that the thread ends with it
		if unix.Gettid() == unix.Getpid() {
			go run() // cannot be here, since this goroutine keeps the thread
			<-leave
			return
		}
		tid := unix.Gettid()
		defer func() { // also when f fails the test
			ran <- tid
			<-leave
		}()
		f()
	}
	go run()
	tid = <-ran
	return tid, func() {
		close(leave)
		for end := time.Now().Add(hangs); ; time.Sleep(time.Millisecond) {
			if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid)); os.IsNotExist(err) {
				return
			}
			require.True(t, time.Now().Before(end), "the thread does not end")
		}
	}
}

// owner is an operation whose owner does as the contract says: it submits again what ended for no reason of its own.
type owner struct {
	op.Op
	b      *Backend
	data   []byte
	sent   int
	fds    []int
	events int32
	done   bool
	again  int
}

func (o *owner) Complete(_ *op.Op, c *op.Completion) {
	switch {
	case o.Again(c):
		o.again++
	case c.Errno == syscall.ECANCELED: // as the test asked
	case c.Errno != 0:
		panic(fmt.Sprint(o.Kind, ": ", c.Errno))
	case o.Kind == op.Recv:
		o.data = append(o.data, c.Lease.Bytes()...)
		c.Lease.Release()
		o.done = o.done || c.Result == 0
	case o.Kind == op.RecvInto:
		o.data = append(o.data, o.Buf[:c.Result]...)
		o.done = true
	case o.Kind == op.Accept:
		o.fds = append(o.fds, int(c.Result))
	case o.Kind == op.Send:
		o.sent += int(c.Result)
		o.Buf = o.Buf[c.Result:]
		o.done = len(o.Buf) == 0
	case o.Kind == op.Poll:
		o.events, o.done = c.Result, true
	}
	if !c.More && !o.done && !o.Cancelled() {
		if err := o.b.Submit(&o.Op); err != nil {
			panic(err)
		}
	}
}

func start(t *testing.T, b *Backend, o *owner) *owner {
	o.b, o.Done = b, o
	require.NoError(t, b.Submit(&o.Op))
	return o
}

func pair(t *testing.T) (a, b int) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

func until(t *testing.T, b *Backend, done func() bool) {
	for end := time.Now().Add(hangs); !done(); {
		_, err := b.Poll(10 * time.Millisecond)
		require.NoError(t, err)
		require.True(t, time.Now().Before(end), "it never comes")
	}
}

// When the thread that submitted operations has ended, the kernel cancels them at their next event, though nobody asked for
// it. Their owners arm them again from where the worker is now, and nothing is lost: neither what arrived before, nor
// between, nor after.
func TestSubmittingThreadEnds(t *testing.T) {
	b := open(t, Config{})
	defer func() { require.NoError(t, b.Close()) }()
	r, rPeer := pair(t)
	into, intoPeer := pair(t)
	s, sPeer := pair(t)
	p, pPeer := pair(t)
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(l)
	require.NoError(t, unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(l, 8))
	at, err := unix.Getsockname(l)
	require.NoError(t, err)
	connect := func() {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		t.Cleanup(func() { unix.Close(c) })
		require.NoError(t, unix.Connect(c, at))
	}

	large := make([]byte, 4<<20) // more than the socket takes
	for i := range large {
		large[i] = byte(i * 7 / 5)
	}
	var recv, recvInto, accept, send, poll *owner
	_, end := onThread(t, func() {
		recv = start(t, b, &owner{Op: op.Op{Kind: op.Recv, FD: int32(r)}})
		recvInto = start(t, b, &owner{Op: op.Op{Kind: op.RecvInto, FD: int32(into), Buf: make([]byte, 16)}})
		accept = start(t, b, &owner{Op: op.Op{Kind: op.Accept, FD: int32(l)}})
		send = start(t, b, &owner{Op: op.Op{Kind: op.Send, FD: int32(s), Buf: large}})
		poll = start(t, b, &owner{Op: op.Op{Kind: op.Poll, FD: int32(p), Events: unix.EPOLLIN}})
		_, err := b.Poll(0)
		require.NoError(t, err)
		_, err = unix.Write(rPeer, []byte("before "))
		require.NoError(t, err)
	})
	connect()
	end()
	_, err = unix.Write(rPeer, []byte("between "))
	require.NoError(t, err)
	connect()
	until(t, b, func() bool { return recv.again > 0 && accept.again > 0 })
	require.Equal(t, 5, b.InFlight())

	for fd, text := range map[int]string{rPeer: "after", intoPeer: "into", pPeer: "x"} {
		_, err = unix.Write(fd, []byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, unix.Shutdown(rPeer, unix.SHUT_WR))
	connect()
	got := make(chan []byte)
	go func() {
		var all []byte
		p := make([]byte, 64<<10)
		for len(all) < len(large) {
			n, err := unix.Read(sPeer, p)
			if n <= 0 || err != nil {
				break
			}
			all = append(all, p[:n]...)
		}
		got <- all
	}()
	until(t, b, func() bool {
		return recv.done && recvInto.done && send.done && poll.done && len(accept.fds) == 3
	})
	for _, fd := range accept.fds {
		unix.Close(fd)
	}
	for _, o := range []*owner{recv, recvInto, accept, poll} {
		require.Equal(t, 1, o.again, o.Kind) // the send says how much went, and its owner sends the rest
	}
	require.Equal(t, "before between after", string(recv.data))
	require.Equal(t, "into", string(recvInto.data))
	require.Equal(t, int32(unix.EPOLLIN), poll.events)
	require.Equal(t, len(large), send.sent)
	require.True(t, bytes.Equal(large, <-got))
	b.Cancel(&accept.Op)
	until(t, b, func() bool { return b.InFlight() == 0 })
}

// A worker that keeps its thread through a wait and finds a multishot that another thread armed moves it here: once, and
// nothing is lost.
func TestMultishotFollowsThread(t *testing.T) {
	b := open(t, Config{})
	defer func() { require.NoError(t, b.Close()) }()
	fd, peer := pair(t)
	var recv *owner
	first, end := onThread(t, func() {
		recv = start(t, b, &owner{Op: op.Op{Kind: op.Recv, FD: int32(fd)}})
		_, err := b.Poll(0)
		require.NoError(t, err)
	})
	const rounds = 20
	want := ""
	var second int
	second, endSecond := onThread(t, func() {
		// A busy worker, however slow the machine is: no tick comes, so that no wait parks.
		b.idleAfter, b.tick = time.Hour, uring.TimespecOf(time.Hour)
		_, err := b.Poll(time.Millisecond) // nothing comes, so it enters the kernel and sees where it is
		require.NoError(t, err)
		for i := range rounds {
			text := fmt.Sprintf("message %d;", i)
			want += text
			if _, err := unix.Write(peer, []byte(text)); err != nil {
				panic(err)
			}
			until(t, b, func() bool { return len(recv.data) == len(want) })
		}
		until(t, b, func() bool { return recv.again == 1 })
	})
	require.NotEqual(t, first, second)
	require.Equal(t, want, string(recv.data))
	require.EqualValues(t, 1, b.Stats().Rearmed)
	require.Equal(t, int32(second), b.armedBy[recv.Ref().Slot()])

	end() // the thread that armed it first has nothing more to say
	_, err := unix.Write(peer, []byte("last"))
	require.NoError(t, err)
	require.NoError(t, unix.Shutdown(peer, unix.SHUT_WR))
	// The second thread lives on meanwhile: on 6.18.15 a receive from a Unix socket whose thread ends with both pending
	// brings the data and never the end of the stream (docs/kernels.md).
	until(t, b, func() bool { return recv.done })
	endSecond()
	require.Equal(t, want+"last", string(recv.data))
}
