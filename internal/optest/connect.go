//go:build linux

package optest

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

var connectChecks = []check{
	{name: "succeeds", run: connectOK},
	{name: "refused", run: connectRefused},
	{name: "twice", run: connectTwice},
	{name: "bad address", run: connectBadAddr},
	{name: "many at once", run: connectMany},
}

func (r *rig) connect(fd int, sa *unix.SockaddrInet4) *watched {
	w := r.op(op.Connect, fd)
	w.Buf = raw(sa)
	return r.submit(w)
}

func (r *rig) acceptPlain(l int) int {
	for {
		fd, err := r.sys.Accept(l, unix.SOCK_CLOEXEC)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		r.NoError(err)
		r.guard(fd)
		return r.own(fd)
	}
}

func connectOK(r *rig) {
	l, sa := r.listen()
	fd := r.socket()
	r.Equal(told{}, r.connect(fd, sa).end())
	peer := r.acceptPlain(l)
	r.Equal(told{result: 2}, r.send(fd, []byte("hi")).end())
	r.Equal("hi", string(r.read(peer, 2)))
	w := r.submit(r.op(op.Recv, fd))
	r.write(peer, []byte("ho"))
	r.until("answer", func() bool { return string(w.data) == "ho" })
}

func connectRefused(r *rig) {
	l, sa := r.listen()
	r.close(l)
	fd := r.socket()
	r.Equal(told{errno: syscall.ECONNREFUSED}, r.connect(fd, sa).end())
	r.Equal(told{errno: syscall.ECONNREFUSED}, r.connect(fd, sa).end())
}

func connectTwice(r *rig) {
	_, sa := r.listen()
	fd := r.socket()
	r.Equal(told{}, r.connect(fd, sa).end())
	r.Equal(told{errno: syscall.EISCONN}, r.connect(fd, sa).end())
}

func connectBadAddr(r *rig) {
	w := r.op(op.Connect, r.socket())
	w.Buf = []byte{1}
	r.Equal(told{errno: syscall.EINVAL}, r.submit(w).end())
}

func connectMany(r *rig) {
	l, sa := r.listen()
	a, got := r.acceptor(l)
	r.submit(a)
	var all []*watched
	for range 60 {
		all = append(all, r.connect(r.socket(), sa))
	}
	for _, w := range all {
		r.Equal(told{}, w.end())
	}
	r.until("all accepted", func() bool { return len(*got) == 60 })
}
