//go:build linux

package optest

import (
	"bytes"
	"slices"
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

// zeroCopyChecks are the checks of SendZC and SendMsgZC, which has its bytes in several pieces.
func zeroCopyChecks(k op.Kind) []check {
	var all []check
	for _, c := range []struct {
		name string
		run  func(*rig, op.Kind)
	}{
		{"one or two completions", zcSmall},
		{"the memory stays in use until the end", zcMemory},
		{"more than the socket holds", zcBig},
		{"errors", zcErrors},
		{"cancel", zcCancel},
		{"close with notifications outstanding", zcClose},
	} {
		all = append(all, check{name: c.name, run: func(r *rig) { c.run(r, k) }})
	}
	return all
}

// zcOp makes an operation that sends p.
func (r *rig) zcOp(k op.Kind, fd int, p []byte) *watched {
	w := r.op(k, fd)
	if w.Buf = p; k == op.SendMsgZC {
		a, b := len(p)/3, len(p)/2
		w.SetMsg((&header{payload: [][]byte{p[:a], p[a:b], nil, p[b:]}}).build())
	}
	return w
}

func (r *rig) sendZC(k op.Kind, fd int, p []byte) *watched { return r.submit(r.zcOp(k, fd, p)) }

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

func zcSmall(r *rig, k op.Kind) {
	fd, peer := r.pair()
	for i := range 12 { // each waits for the peer's acknowledgement, 40 ms if that is delayed
		p := pattern(i*1000, 1000)
		r.Equal(1000, r.sendZC(k, fd, p).count())
		// Before the next: a send that the peer has no room for ends when it reads, and some kernels have it hold 32 of
		// these only.
		r.Equal(p, r.read(peer, 1000))
	}
}

// zcMemory overwrites each buffer as soon as, and not before, the terminal completion is told.
func zcMemory(r *rig, k op.Kind) {
	fd, peer := r.pair()
	var ws []*watched
	for i := range 16 {
		p := pattern(i*4096, 4096)
		w := r.zcOp(k, fd, p)
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
	// Each is sent at once; in which order is nobody's promise.
	want := slices.SortedFunc(slices.Chunk(pattern(0, 16*4096), 4096), bytes.Compare)
	r.True(slices.EqualFunc(want, slices.SortedFunc(slices.Chunk(got, 4096), bytes.Compare), bytes.Equal), "content differs")
}

func zcBig(r *rig, k op.Kind) {
	fd, peer := r.pair()
	const size = 8 << 20
	var got []byte
	for done := 0; done < size; {
		w := r.sendZC(k, fd, pattern(done, size-done))
		r.until("the end of a send-zc", func() bool {
			got = append(got, r.drain(peer)...)
			return w.ended()
		})
		done += w.count()
	}
	got = append(got, r.read(peer, size-len(got))...)
	r.True(string(pattern(0, size)) == string(got), "content differs")
}

func zcErrors(r *rig, k op.Kind) {
	r.Equal(syscall.EBADF, r.sendZC(k, 1<<20, []byte("x")).end().errno)
	fd, _ := r.pair()
	r.NoError(r.sys.Shutdown(fd, unix.SHUT_WR))
	r.Contains([]syscall.Errno{syscall.EPIPE, syscall.EOPNOTSUPP}, r.sendZC(k, fd, []byte("x")).end().errno)
}

func zcCancel(r *rig, k op.Kind) {
	const size = 20 << 20
	fd, peer := r.pair()
	w := r.sendZC(k, fd, pattern(0, size))
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

func zcClose(r *rig, k op.Kind) {
	fd, peer := r.pair()
	var ws []*watched
	for range 8 {
		ws = append(ws, r.sendZC(k, fd, pattern(0, 4096)))
	}
	r.idle()
	r.NoError(r.b.Close())
	for _, w := range ws {
		r.True(w.ended(), "no terminal completion from Close")
	}
	r.close(peer)
}
