//go:build linux

package optest

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

var sendChecks = []check{
	{name: "small", run: sendSmall},
	{name: "more than the socket holds", run: sendBig},
	{name: "peer resets", run: sendReset},
	{name: "peer resets while waiting", run: sendResetWaiting},
	{name: "after own shutdown", run: sendShutdown},
	{name: "not connected", run: sendUnconnected},
}

func (r *rig) send(fd int, p []byte) *watched {
	w := r.op(op.Send, fd)
	w.Buf = p
	return r.submit(w)
}

func sendSmall(r *rig) {
	fd, peer := r.pair()
	for i := range 100 {
		r.Equal(told{result: 100}, r.send(fd, pattern(i*100, 100)).end())
	}
	r.Equal(pattern(0, 10000), r.read(peer, 10000))
}

// sendAll sends p as an owner does: again from where a partial send ended.
func (r *rig) sendAll(fd, peer int, p []byte) []byte {
	var got []byte
	for done := 0; done < len(p); {
		w := r.send(fd, p[done:])
		for w.pending == 1 {
			got = append(got, r.drain(peer)...)
			_, err := r.b.Poll(0)
			r.NoError(err)
		}
		t := w.got[0]
		r.Zero(t.errno)
		r.Greater(int(t.result), 0)
		done += int(t.result)
	}
	return got
}

func sendBig(r *rig) {
	fd, peer := r.pair()
	const size = 20 << 20
	got := r.sendAll(fd, peer, pattern(0, size))
	got = append(got, r.read(peer, size-len(got))...)
	r.True(string(pattern(0, size)) == string(got), "content differs")
}

func sendReset(r *rig) {
	fd, peer := r.pair()
	r.reset(peer)
	// The first finds the error that the reset left, the next ones that nobody is there. SIGPIPE would end the test.
	first := r.send(fd, []byte("x")).end()
	r.Contains([]syscall.Errno{syscall.ECONNRESET, syscall.EPIPE}, first.errno)
	r.Equal(told{errno: syscall.EPIPE}, r.send(fd, []byte("x")).end())
}

func sendResetWaiting(r *rig) {
	fd, peer := r.pair()
	w := r.send(fd, pattern(0, 20<<20))
	r.stillFlying(w)
	r.reset(peer)
	// A part went out before: its count is the result, or the error if the backend started anew.
	t := w.end()
	if t.errno == 0 {
		r.Greater(int(t.result), 0)
		r.Less(int(t.result), 20<<20)
		t = r.send(fd, []byte("x")).end()
	}
	r.Contains([]syscall.Errno{syscall.ECONNRESET, syscall.EPIPE}, t.errno)
}

func sendShutdown(r *rig) {
	fd, _ := r.pair()
	r.NoError(r.sys.Shutdown(fd, unix.SHUT_WR))
	r.Equal(told{errno: syscall.EPIPE}, r.send(fd, []byte("x")).end())
}

func sendUnconnected(r *rig) {
	t := r.send(r.socket(), []byte("x")).end()
	r.Contains([]syscall.Errno{syscall.EPIPE, syscall.ENOTCONN}, t.errno)
}
