//go:build linux

package optest

import (
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

var recvChecks = []check{
	{name: "byte-exact in order", run: recvOrder},
	{name: "small buffers", pool: buffers.GroupConfig{Size: 512, Count: 64}, run: recvOrder},
	{name: "data sent before", run: recvBefore},
	{name: "end of file", run: recvEOF},
	{name: "end of file right behind data", run: recvEOFBehind},
	{name: "half-close leaves sending", run: recvHalfClose},
	{name: "reset", run: recvReset},
	{name: "reset behind data", run: recvResetBehind},
	{name: "urgent mark", run: recvUrgent},
	{name: "unix socket with descriptors", run: recvUnix},
	{name: "not a socket", run: recvPipe},
	{name: "beside a waiting send", run: recvBesideSend},
	{name: "many connections", pool: buffers.GroupConfig{Size: 4096, Count: 1024}, run: recvMany},
}

var recvIntoChecks = []check{
	{name: "byte-exact in order", run: recvIntoOrder},
	{name: "end of file again and again", run: recvIntoEOF},
	{name: "reset", run: recvIntoReset},
}

func recvOrder(r *rig) {
	fd, peer := r.pair()
	w := r.submit(r.op(op.Recv, fd))
	rnd := rand.New(rand.NewPCG(1, 2))
	sent := 0
	for range 300 {
		n := 1 + rnd.IntN(1<<rnd.IntN(15))
		r.write(peer, pattern(sent, n))
		sent += n
		if rnd.IntN(3) == 0 {
			r.until("what was sent", func() bool { return len(w.data) == sent })
		} else if sent-len(w.data) > 64<<10 {
			r.until("most of what was sent", func() bool { return sent-len(w.data) < 32<<10 })
		}
	}
	r.close(peer)
	r.Equal(told{}, w.end())
	r.Equal(pattern(0, sent), w.data)
}

func recvBefore(r *rig) {
	fd, peer := r.pair()
	r.write(peer, []byte("early"))
	w := r.submit(r.op(op.Recv, fd))
	r.until("data", func() bool { return len(w.data) == 5 })
	r.Equal("early", string(w.data))
	r.stillFlying(w)
}

// stillFlying checks that w has not ended.
func (r *rig) stillFlying(w *watched) {
	r.idle()
	r.Equal(1, w.pending, "%v ended with %v", w.Kind, w.got)
}

func recvEOF(r *rig) {
	fd, peer := r.pair()
	w := r.submit(r.op(op.Recv, fd))
	r.idle()
	r.close(peer)
	r.Equal(told{}, w.end())
	r.Len(w.got, 1)
	// And for who asks again.
	r.Equal(told{}, r.submit(w).end())
}

func recvEOFBehind(r *rig) {
	for range 50 {
		fd, peer := r.pair()
		w := r.submit(r.op(op.Recv, fd))
		r.idle()
		r.write(peer, []byte("bye"))
		r.close(peer)
		r.Equal(told{}, w.end())
		r.Equal("bye", string(w.data))
		r.close(fd)
	}
}

func recvHalfClose(r *rig) {
	fd, peer := r.pair()
	w := r.submit(r.op(op.Recv, fd))
	r.write(peer, []byte("question"))
	r.NoError(r.sys.Shutdown(peer, unix.SHUT_WR))
	r.Equal(told{}, w.end())
	r.Equal("question", string(w.data))
	s := r.op(op.Send, fd)
	s.Buf = []byte("answer")
	r.Equal(told{result: 6}, r.submit(s).end())
	r.Equal("answer", string(r.read(peer, 6)))
}

func recvReset(r *rig) {
	fd, peer := r.pair()
	w := r.submit(r.op(op.Recv, fd))
	r.idle()
	r.reset(peer)
	r.Equal(told{errno: syscall.ECONNRESET}, w.end())
}

func recvResetBehind(r *rig) {
	fd, peer := r.pair()
	w := r.submit(r.op(op.Recv, fd))
	r.write(peer, []byte("last"))
	r.until("data", func() bool { return len(w.data) == 4 })
	r.reset(peer)
	r.Equal(told{errno: syscall.ECONNRESET}, w.end())
	r.Equal("last", string(w.data))
}

// recvUrgent: TCP ends a read before the urgent byte although more stands behind it. What stands behind may come late on a
// ring: a receive that begins at the mark while a signal is pending for the thread, which the ring's own task work is, fails
// with EAGAIN, and the kernel then waits for the next segment (seen on 6.1 and, rarely, 6.18). So there is one.
func recvUrgent(r *rig) {
	fd, peer := r.pair()
	w := r.submit(r.op(op.Recv, fd))
	r.idle()
	r.write(peer, []byte("before"))
	r.NoError(r.sys.Urgent(peer, '!'))
	r.write(peer, []byte("behind"))
	for n := 0; n < 20 && len(w.data) < 12; n++ {
		_, err := r.b.Poll(10 * time.Millisecond)
		r.NoError(err)
	}
	r.write(peer, []byte("!"))
	r.until("what stands around the mark", func() bool { return len(w.data) == 13 })
	r.Equal("beforebehind!", string(w.data))
}

// recvUnix: a Unix socket ends a read at a message that carries descriptors.
func recvUnix(r *rig) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|r.b.FileFlags(), 0)
	r.NoError(err)
	fd, peer := r.own(p[0]), r.own(p[1])
	r.write(peer, []byte("one"))
	r.NoError(unix.Sendmsg(peer, []byte("two"), unix.UnixRights(peer), nil, 0))
	r.write(peer, []byte("three"))
	w := r.submit(r.op(op.Recv, fd))
	r.until("all three", func() bool { return len(w.data) == 11 })
	r.Equal("onetwothree", string(w.data))
	r.close(peer)
	r.Equal(told{}, w.end())
}

func recvPipe(r *rig) {
	p, err := r.sys.Pipe(r.b.FileFlags())
	r.NoError(err)
	r.own(p[0])
	r.own(p[1])
	w := r.submit(r.op(op.Recv, p[0]))
	r.write(p[1], []byte("x"))
	r.Equal(told{errno: syscall.ENOTSOCK}, w.end())
}

// recvBesideSend: the send keeps the descriptor in use while receives come and go.
func recvBesideSend(r *rig) {
	fd, peer := r.pair()
	s := r.op(op.Send, fd)
	s.Buf = pattern(0, 8<<20)
	r.submit(s)
	r.stillFlying(s)
	got := 0
	for i := range 20 {
		r.write(peer, pattern(10*i, 10))
		w := r.submit(r.op(op.Recv, fd))
		r.until("data", func() bool { return len(w.data) == 10 })
		r.Equal(pattern(10*i, 10), w.data)
		r.stillFlying(w)
		r.Equal(told{errno: syscall.ECANCELED}, w.stop())
	}
	for s.pending == 1 {
		got += len(r.drain(peer))
		_, err := r.b.Poll(0)
		r.NoError(err)
	}
	r.Zero(s.got[0].errno)
	r.close(fd)
	got += len(r.readAll(peer))
	r.Equal(int(s.got[0].result), got)
}

// drain reads what is there.
func (r *rig) drain(fd int) []byte {
	p := make([]byte, 1<<20)
	n, err := r.sys.Receive(fd, p)
	if err != nil {
		r.ErrorIs(err, unix.EAGAIN)
		return nil
	}
	return p[:n]
}

func recvMany(r *rig) {
	const conns = 200
	type conn struct {
		w        *watched
		fd, peer int
	}
	all := make([]conn, conns)
	for i := range all {
		fd, peer := r.pair()
		all[i] = conn{r.submit(r.op(op.Recv, fd)), fd, peer}
	}
	r.Equal(conns, r.b.InFlight())
	for round := range 10 {
		for i, c := range all {
			r.write(c.peer, pattern(i*1000+round*64, 64))
		}
		r.until("every connection's message", func() bool {
			for _, c := range all {
				if len(c.w.data) != (round+1)*64 {
					return false
				}
			}
			return true
		})
	}
	for i, c := range all {
		r.Equal(pattern(i*1000, 640), c.w.data)
		r.Equal(told{errno: syscall.ECANCELED}, c.w.stop())
	}
	r.Zero(r.b.InFlight())
}

func recvIntoOrder(r *rig) {
	fd, peer := r.pair()
	rnd := rand.New(rand.NewPCG(3, 4))
	sent, want := 0, []byte(nil)
	for range 300 {
		if sent-len(want) < 1000 {
			r.write(peer, pattern(sent, 2000))
			sent += 2000
		}
		w := r.op(op.RecvInto, fd)
		w.Buf = make([]byte, 1+rnd.IntN(900))
		t := r.submit(w).end()
		r.Zero(t.errno)
		r.Greater(int(t.result), 0)
		want = append(want, w.Buf[:t.result]...)
	}
	r.Equal(pattern(0, len(want)), want)
}

func recvIntoEOF(r *rig) {
	fd, peer := r.pair()
	w := r.op(op.RecvInto, fd)
	w.Buf = make([]byte, 10)
	r.submit(w)
	r.stillFlying(w)
	r.write(peer, []byte("end"))
	r.close(peer)
	r.Equal(told{result: 3}, w.end())
	for range 3 {
		r.Equal(told{}, r.submit(w).end())
	}
}

func recvIntoReset(r *rig) {
	fd, peer := r.pair()
	w := r.op(op.RecvInto, fd)
	w.Buf = make([]byte, 10)
	r.submit(w)
	r.idle()
	r.reset(peer)
	r.Equal(told{errno: syscall.ECONNRESET}, w.end())
}
