//go:build linux

package optest

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

var sendZCChecks = []check{
	{name: "one or two completions", run: zcSmall},
	{name: "the memory stays in use until the end", run: zcMemory},
	{name: "more than the socket holds", run: zcBig},
	{name: "errors", run: zcErrors},
	{name: "cancel", run: zcCancel},
	{name: "close with notifications outstanding", run: zcClose},
}

// sendZC submits p, and skips the check where the kernel or the socket cannot do it.
func (r *rig) sendZC(fd int, p []byte) *watched {
	w := r.op(op.SendZC, fd)
	w.Buf = p
	return r.submit(w)
}

// count is what w has sent, from whichever completion tells it.
func (w *watched) count() int {
	w.r.t.Helper()
	last := w.end()
	switch first := w.got[0]; {
	case first.errno == syscall.EOPNOTSUPP || first.errno == syscall.EINVAL || first.errno == syscall.ENOMEM:
		w.r.t.Skip("no sends without a copy here: ", first.errno)
		return 0
	case len(w.got) == 1:
		w.r.Zero(first.errno)
		return int(first.result)
	default:
		w.r.Len(w.got, 2)
		w.r.True(first.more)
		w.r.Zero(last.errno)
		w.r.Contains([]int32{0, 1}, last.result)
		return int(first.result)
	}
}

func zcSmall(r *rig) {
	fd, peer := r.pair()
	for i := range 50 {
		p := pattern(i*1000, 1000)
		r.Equal(1000, r.sendZC(fd, p).count())
		// Before the next: a send that the peer has no room for ends when it reads, and some kernels have it hold 32 of these only.
		r.Equal(p, r.read(peer, 1000))
	}
}

// zcMemory overwrites each buffer as soon as, and not before, the terminal completion is told.
func zcMemory(r *rig) {
	fd, peer := r.pair()
	var ws []*watched
	for i := range 16 {
		p := pattern(i*4096, 4096)
		w := r.op(op.SendZC, fd)
		w.Buf = p
		w.on = func(t told) {
			if !t.more {
				clear(p)
			}
		}
		ws = append(ws, r.submit(w))
	}
	r.idle()
	got := r.read(peer, 16*4096)
	for _, w := range ws {
		r.Equal(4096, w.count())
	}
	r.Equal(string(pattern(0, 16*4096)), string(got))
}

func zcBig(r *rig) {
	fd, peer := r.pair()
	const size = 8 << 20
	var got []byte
	for done := 0; done < size; {
		w := r.sendZC(fd, pattern(done, size-done))
		r.until("the end of a send-zc", func() bool {
			got = append(got, r.drain(peer)...)
			return w.ended()
		})
		done += w.count()
	}
	got = append(got, r.read(peer, size-len(got))...)
	r.True(string(pattern(0, size)) == string(got), "content differs")
}

func zcErrors(r *rig) {
	r.Equal(syscall.EBADF, r.sendZC(1<<20, []byte("x")).end().errno)
	fd, _ := r.pair()
	r.NoError(unix.Shutdown(fd, unix.SHUT_WR))
	r.Contains([]syscall.Errno{syscall.EPIPE, syscall.EOPNOTSUPP}, r.sendZC(fd, []byte("x")).end().errno)
}

func zcCancel(r *rig) {
	const size = 20 << 20
	fd, peer := r.pair()
	w := r.sendZC(fd, pattern(0, size))
	r.idle()
	r.b.Cancel(&w.Op)
	var got []byte
	r.until("the end of a cancelled send-zc", func() bool {
		got = append(got, r.drain(peer)...)
		return w.ended()
	})
	sent := 0
	if w.got[0].errno == 0 {
		sent = int(w.got[0].result)
	}
	r.close(fd)
	got = append(got, r.readAll(peer)...)
	r.Len(got, sent)
	r.Equal(string(pattern(0, sent)), string(got))
}

func zcClose(r *rig) {
	fd, peer := r.pair()
	var ws []*watched
	for range 8 {
		ws = append(ws, r.sendZC(fd, pattern(0, 4096)))
	}
	r.idle()
	r.NoError(r.b.Close())
	for _, w := range ws {
		r.True(w.ended(), "no terminal completion from Close")
	}
	r.close(peer)
}
