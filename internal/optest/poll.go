//go:build linux

package optest

import (
	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

var pollChecks = []check{
	{name: "readable", run: pollIn},
	{name: "writable", run: pollOut},
	{name: "what holds already", run: pollAlready},
	{name: "beside a receive", run: pollBeside},
	{name: "hang-up", run: pollHup},
	{name: "only what was asked for", run: pollOnly},
}

func (r *rig) poll(fd int, events uint32) *watched {
	w := r.op(op.Poll, fd)
	w.Events = events
	return r.submit(w)
}

func pollIn(r *rig) {
	fd, peer := r.pair()
	for range 3 {
		w := r.poll(fd, unix.EPOLLIN)
		r.stillFlying(w)
		r.write(peer, []byte("x"))
		r.Equal(told{result: unix.EPOLLIN}, w.end())
		r.Equal("x", string(r.read(fd, 1)))
	}
}

func pollOut(r *rig) {
	fd, peer := r.pair()
	r.Equal(told{result: unix.EPOLLOUT}, r.poll(fd, unix.EPOLLOUT).end())
	s := r.send(fd, pattern(0, 20<<20))
	r.stillFlying(s)
	r.b.Cancel(&s.Op)
	n := int(s.end().result)
	w := r.poll(fd, unix.EPOLLOUT)
	r.stillFlying(w)
	r.read(peer, n)
	r.Equal(told{result: unix.EPOLLOUT}, w.end())
}

func pollAlready(r *rig) {
	fd, peer := r.pair()
	r.write(peer, []byte("x"))
	for range 3 {
		r.Equal(told{result: unix.EPOLLIN}, r.poll(fd, unix.EPOLLIN).end())
	}
	r.Equal(told{result: unix.EPOLLIN | unix.EPOLLOUT}, r.poll(fd, unix.EPOLLIN|unix.EPOLLOUT).end())
}

// pollBeside: another operation keeps the descriptor in use, and the edge is in the past.
func pollBeside(r *rig) {
	fd, peer := r.pair()
	w := r.submit(r.op(op.Recv, fd))
	r.write(peer, []byte("x"))
	r.until("data", func() bool { return len(w.data) == 1 })
	r.Equal(told{result: unix.EPOLLOUT}, r.poll(fd, unix.EPOLLOUT).end())
	p := r.poll(fd, unix.EPOLLRDHUP)
	r.stillFlying(p)
	r.NoError(r.sys.Shutdown(peer, unix.SHUT_WR))
	r.Equal(told{result: unix.EPOLLRDHUP}, p.end())
	r.Equal(told{}, w.end())
}

func pollHup(r *rig) {
	fd, peer := r.pair()
	w := r.poll(fd, unix.EPOLLIN)
	r.idle()
	r.reset(peer)
	t := w.end()
	r.Zero(t.errno)
	r.NotZero(t.result & (unix.EPOLLHUP | unix.EPOLLERR))
}

func pollOnly(r *rig) {
	fd, peer := r.pair()
	w := r.poll(fd, unix.EPOLLRDHUP)
	r.write(peer, []byte("x"))
	r.stillFlying(w)
	r.NoError(r.sys.Shutdown(peer, unix.SHUT_WR))
	r.Equal(told{result: unix.EPOLLRDHUP}, w.end())
}
