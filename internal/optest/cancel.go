//go:build linux

package optest

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

var cancelChecks = []check{
	{name: "idle operation", run: cancelIdle},
	{name: "recv at every point", run: cancelRecv},
	{name: "recv-into at every point", run: cancelRecvInto},
	{name: "accept at every point", run: cancelAccept},
	{name: "send at every point", run: cancelSend},
	{name: "connect at every point", run: cancelConnect},
	{name: "poll at every point", run: cancelPoll},
	{name: "from inside its own completion", run: cancelInside},
	{name: "from inside another's completion", run: cancelOther},
	{name: "one of many", run: cancelOne},
}

// points are the moments at which an operation can be cancelled, as what happens before the Cancel. event makes the
// operation able to succeed.
var points = []struct {
	name string
	to   func(r *rig, event func())
}{
	{"right after Submit", func(*rig, func()) {}},
	{"once started", func(r *rig, _ func()) { r.idle() }},
	{"event before start", func(_ *rig, event func()) { event() }},
	{"event after start", func(r *rig, event func()) { r.idle(); event() }},
	{"success under way", func(r *rig, event func()) {
		r.idle()
		event()
		_, err := r.b.Poll(0)
		r.NoError(err)
	}},
}

// atEveryPoint runs one at each point. one submits an operation and returns it with its event, and a check of what is
// left after the end.
func atEveryPoint(r *rig, one func() (w *watched, event func(), check func(told))) {
	for _, p := range points {
		w, event, check := one()
		p.to(r, event)
		for range 2 {
			r.b.Cancel(&w.Op)
		}
		if w.pending == 1 {
			r.True(w.Cancelled(), p.name)
		}
		last := w.end()
		if last.errno != 0 {
			r.Equal(syscall.ECANCELED, last.errno, p.name)
		}
		r.idle()
		r.Equal(last, w.got[len(w.got)-1], "%s: told something after the end", p.name)
		r.b.Cancel(&w.Op) // harmless now
		check(last)
		r.Zero(r.b.InFlight(), p.name)
	}
}

func cancelIdle(r *rig) {
	w := r.op(op.Nop, -1)
	r.b.Cancel(&w.Op)
	r.False(w.Cancelled())
	r.Equal(told{}, r.submit(w).end())
	r.b.Cancel(&w.Op)
	r.Len(w.got, 1)
}

func cancelRecv(r *rig) {
	atEveryPoint(r, func() (*watched, func(), func(told)) {
		fd, peer := r.pair()
		w := r.submit(r.op(op.Recv, fd))
		return w, func() { r.write(peer, []byte("before")) }, func(told) {
			// Nothing may be lost: what was not delivered is still in the socket.
			r.write(peer, []byte("after"))
			r.close(peer)
			if w.pending == 0 {
				r.submit(w)
			}
			r.Equal(told{}, w.end())
			r.Contains([]string{"beforeafter", "after"}, string(w.data))
			r.close(fd)
		}
	})
}

func cancelRecvInto(r *rig) {
	atEveryPoint(r, func() (*watched, func(), func(told)) {
		fd, peer := r.pair()
		w := r.op(op.RecvInto, fd)
		w.Buf = make([]byte, 100)
		sent := 0
		return r.submit(w), func() { r.write(peer, []byte("before")); sent = 6 }, func(last told) {
			r.close(peer)
			rest := r.readAll(fd)
			r.Equal(sent, int(last.result)+len(rest))
			r.close(fd)
		}
	})
}

func cancelAccept(r *rig) {
	atEveryPoint(r, func() (*watched, func(), func(told)) {
		l, sa := r.listen()
		w, got := r.acceptor(l)
		dialled := 0
		return r.submit(w), func() { r.dial(sa); dialled = 1 }, func(told) {
			// What was not delivered is still in the queue.
			for len(*got) < dialled {
				*got = append(*got, r.acceptPlain(l))
			}
			r.Len(*got, dialled)
			r.close(l)
		}
	})
}

func cancelSend(r *rig) {
	const size = 20 << 20
	for _, n := range []int{10, size} {
		atEveryPoint(r, func() (*watched, func(), func(told)) {
			fd, peer := r.pair()
			var got []byte
			w := r.send(fd, pattern(0, n))
			return w, func() { got = append(got, r.drain(peer)...) }, func(last told) {
				// Exactly what was reported has left.
				r.close(fd)
				got = append(got, r.readAll(peer)...)
				r.Len(got, int(last.result))
				r.Equal(string(pattern(0, len(got))), string(got))
				r.close(peer)
			}
		})
	}
}

func cancelConnect(r *rig) {
	l, sa := r.listen()
	atEveryPoint(r, func() (*watched, func(), func(told)) {
		fd := r.socket()
		return r.connect(fd, sa), func() {}, func(last told) {
			if last.errno == 0 {
				r.NoError(r.sys.Connected(fd))
			}
			r.close(fd)
		}
	})
	// To an address whose queue is full, so that the attempt hangs.
	r.NoError(r.sys.Listen(l, 0))
	for range 3 {
		r.connect(r.socket(), sa)
	}
	r.idle()
	w := r.connect(r.socket(), sa)
	if w.pending == 1 {
		r.idle()
	}
	if last := w.stop(); last.errno != 0 {
		r.Equal(syscall.ECANCELED, last.errno)
	}
}

func cancelPoll(r *rig) {
	atEveryPoint(r, func() (*watched, func(), func(told)) {
		fd, peer := r.pair()
		return r.poll(fd, unix.EPOLLIN), func() { r.write(peer, []byte("x")) }, func(last told) {
			if last.errno == 0 {
				r.Equal(int32(unix.EPOLLIN), last.result)
			}
			r.close(fd)
			r.close(peer)
		}
	})
}

func cancelInside(r *rig) {
	fd, peer := r.pair()
	w := r.op(op.Recv, fd)
	w.on = func(told) {
		if w.pending == 1 {
			r.b.Cancel(&w.Op)
		}
	}
	r.submit(w)
	r.write(peer, []byte("x"))
	r.Equal(syscall.ECANCELED, w.end().errno)
	r.Equal("x", string(w.data))
}

// cancelOther: two operations are ready at once; whichever is told first cancels the other.
func cancelOther(r *rig) {
	for range 20 {
		fd1, peer1 := r.pair()
		fd2, peer2 := r.pair()
		a, b := r.op(op.Recv, fd1), r.op(op.Recv, fd2)
		a.on = func(told) { r.b.Cancel(&b.Op) }
		b.on = func(told) { r.b.Cancel(&a.Op) }
		r.submit(a)
		r.submit(b)
		r.write(peer1, []byte("1"))
		r.write(peer2, []byte("2"))
		r.until("both ends", func() bool { return a.ended() && b.ended() })
		for _, w := range []*watched{a, b} {
			// A multishot may also end with its last success.
			if last := w.got[len(w.got)-1]; last.errno != 0 || last.result == 0 {
				r.Equal(syscall.ECANCELED, last.errno)
			}
		}
		// What was cancelled before it was told is still there.
		r.close(peer1)
		r.close(peer2)
		r.Equal("1", string(a.data)+string(r.readAll(fd1)))
		r.Equal("2", string(b.data)+string(r.readAll(fd2)))
		r.close(fd1)
		r.close(fd2)
	}
}

// cancelOne: the others on the same descriptor go on.
func cancelOne(r *rig) {
	fd, peer := r.pair()
	all := []*watched{r.poll(fd, unix.EPOLLIN), r.poll(fd, unix.EPOLLIN), r.poll(fd, unix.EPOLLIN), r.poll(fd, unix.EPOLLIN)}
	r.idle()
	for _, i := range []int{1, 3} {
		r.Equal(told{errno: syscall.ECANCELED}, all[i].stop())
	}
	r.write(peer, []byte("x"))
	for _, i := range []int{0, 2} {
		r.Equal(told{result: unix.EPOLLIN}, all[i].end())
	}
}
