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
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		r.NoError(err)
		r.NotZero(flags&unix.O_NONBLOCK, "file mode")
		flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		r.NoError(err)
		r.Equal(unix.FD_CLOEXEC, flags, "close-on-exec")
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
	r.exhausted(func() {
		r.Equal(told{errno: syscall.EMFILE}, r.submit(w).end())
		r.Equal(told{errno: syscall.EMFILE}, r.submit(w).end())
	})
	r.Len(*got, 1)
	r.submit(w)
	r.until("the second connection", func() bool { return len(*got) == 2 })
}

// exhausted calls f while the process may open no more descriptors.
func (r *rig) exhausted(f func()) {
	var was unix.Rlimit
	r.NoError(unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	// A new descriptor takes the lowest free number, so all below the limit must be in use.
	fill, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	r.NoError(err)
	filled := []int{fill}
	defer func() {
		for _, fd := range filled {
			unix.Close(fd)
		}
	}()
	for n := countFDs(r.t) + 64; fill < n; {
		fill, err = unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		r.NoError(err)
		filled = append(filled, fill)
	}
	less := was
	less.Cur = uint64(fill + 1)
	r.NoError(unix.Setrlimit(unix.RLIMIT_NOFILE, &less))
	defer func() { r.NoError(unix.Setrlimit(unix.RLIMIT_NOFILE, &was)) }()
	f()
}
