//go:build linux

package optest

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

var acceptChecks = []check{
	{name: "delivers each connection", run: acceptAll},
	{name: "connections made before", run: acceptBefore},
	{name: "not listening", run: acceptNotListening},
	{name: "out of descriptors", run: acceptEMFILE},
}

// acceptor accepts and owns what it gets.
func (r *rig) acceptor(l int) (*watched, *[]int) {
	w := r.op(op.Accept, l)
	got := new([]int)
	w.on = func(t told) {
		if t.errno == 0 {
			*got = append(*got, r.own(int(t.result)))
		}
	}
	return w, got
}

func acceptAll(r *rig) {
	l, sa := r.listen()
	w, got := r.acceptor(l)
	r.submit(w)
	for i := range 50 {
		peer := r.dial(sa)
		if i%5 == 0 {
			r.until("the connection", func() bool { return len(*got) == i+1 })
			r.write(peer, []byte("hello"))
			d := r.submit(r.op(op.Recv, (*got)[i]))
			r.until("its data", func() bool { return len(d.data) == 5 })
			d.stop()
		}
	}
	r.until("all connections", func() bool { return len(*got) == 50 })
	for _, fd := range *got {
		flags, closeOnExec, err := r.sys.Flags(fd)
		r.NoError(err)
		r.NotZero(flags&unix.O_NONBLOCK, "file mode")
		r.True(closeOnExec, "close-on-exec")
	}
	r.Equal(told{errno: syscall.ECANCELED}, w.stop())
}

func acceptBefore(r *rig) {
	l, sa := r.listen()
	for range 40 {
		r.dial(sa)
	}
	w, got := r.acceptor(l)
	r.submit(w)
	r.until("all connections", func() bool { return len(*got) == 40 })
	r.stillFlying(w)
}

func acceptNotListening(r *rig) {
	r.Equal(told{errno: syscall.EINVAL}, r.submit(r.op(op.Accept, r.socket())).end())
}

// acceptEMFILE: the multishot ends, the connection stays in the queue, and who submits again once there are
// descriptors gets it. io_uring reads the limit when the accept is submitted, so one in flight would not notice.
func acceptEMFILE(r *rig) {
	l, sa := r.listen()
	w, got := r.acceptor(l)
	r.submit(w)
	r.dial(sa)
	r.until("the first connection", func() bool { return len(*got) == 1 })
	r.b.Cancel(&w.Op)
	r.Equal(told{errno: syscall.ECANCELED}, w.end())
	r.dial(sa)
	r.sys.Exhausted(r.t, func() {
		r.Equal(told{errno: syscall.EMFILE}, r.submit(w).end())
		r.Equal(told{errno: syscall.EMFILE}, r.submit(w).end())
	})
	r.Len(*got, 1)
	r.submit(w)
	r.until("the second connection", func() bool { return len(*got) == 2 })
}
