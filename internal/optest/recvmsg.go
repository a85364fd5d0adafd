//go:build linux

package optest

import (
	"math/rand/v2"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

var recvMsgChecks = []check{
	{name: "boundaries, order and names", run: recvMsgOrder},
	{name: "empty datagrams", run: recvMsgEmpty},
	{name: "largest datagram", pool: buffers.GroupConfig{Size: 68 << 10, Count: 16}, run: recvMsgLargest},
	{name: "cut off by the buffer", pool: buffers.GroupConfig{Size: 256, Count: 64}, run: recvMsgCut},
	{name: "buffer too small for the head", pool: buffers.GroupConfig{Size: 16, Count: 8}, run: recvMsgNoRoom},
	{name: "control data", run: recvMsgControl},
	{name: "no room for control data", run: recvMsgNoControl},
	{name: "nothing of another datagram", pool: buffers.GroupConfig{Size: 4096, Count: 2, Provide: 2}, run: recvMsgCanary},
	{name: "refused", run: recvMsgRefused},
	{name: "none left, and nothing lost", pool: poolOfOne, run: recvMsgNoBuffers},
	{name: "cancel at every point", run: recvMsgCancel},
}

var recvMsgIntoChecks = []check{
	{name: "once each, in order", run: recvMsgIntoOrder},
	{name: "cut off", run: recvMsgIntoCut},
	{name: "peek", run: recvMsgIntoPeek},
	{name: "refused", run: recvMsgIntoRefused},
	{name: "cancel at every point", run: recvMsgIntoCancel},
}

func recvMsgOrder(r *rig) {
	fd, peer := r.udp()
	w := r.submit(r.recvMsg(fd, 0))
	rnd := rand.New(rand.NewPCG(1, 2))
	from := string(raw(r.addrOf(peer)))
	var want []string
	for i := range 300 {
		p := datagram(i, rnd.IntN(2000))
		r.sendTo(peer, fd, p)
		want = append(want, string(p))
		if rnd.IntN(4) == 0 {
			r.until("what was sent", func() bool { return len(w.msgs) == len(want) })
		}
	}
	r.until("what was sent", func() bool { return len(w.msgs) == len(want) })
	for i, m := range w.msgs {
		r.Equal(gotMsg{name: from, payload: want[i]}, m)
	}
	r.Equal(told{errno: syscall.ECANCELED}, w.stop())
}

func recvMsgEmpty(r *rig) {
	fd, peer := r.udp()
	w := r.submit(r.recvMsg(fd, 0))
	for i := range 20 {
		r.sendTo(peer, fd, nil)
		r.sendTo(peer, fd, []byte("x"))
		r.until("both", func() bool { return len(w.msgs) == 2*i+2 })
		r.Equal("", w.msgs[2*i].payload)
		r.Len(w.msgs[2*i].name, unix.SizeofSockaddrInet4)
		r.Equal("x", w.msgs[2*i+1].payload)
	}
	r.stillFlying(w)
	w.stop()
}

func recvMsgLargest(r *rig) {
	fd, peer := r.udp()
	w := r.submit(r.recvMsg(fd, 64))
	const largest = 65507
	p := pattern(0, largest)
	r.sendTo(peer, fd, p)
	r.until("the datagram", func() bool { return len(w.msgs) == 1 })
	r.True(w.msgs[0].payload == string(p), "content differs")
	r.Zero(w.msgs[0].flags)
	w.stop()
}

func recvMsgCut(r *rig) {
	fd, peer := r.udp()
	w := r.submit(r.recvMsg(fd, 0))
	const room = 256 - op.MsgHeadBytes - unix.SizeofSockaddrInet4
	sizes := []int{10, room - 1, room, room + 1, 1000, 10}
	for i, n := range sizes {
		r.sendTo(peer, fd, datagram(i, n))
	}
	r.until("all", func() bool { return len(w.msgs) == len(sizes) })
	for i, n := range sizes {
		m := w.msgs[i]
		r.Equal(string(datagram(i, n)[:min(n, room)]), m.payload)
		r.Equal(n > room, m.flags&unix.MSG_TRUNC != 0, "MSG_TRUNC of %d bytes", n)
	}
	w.stop()
}

func recvMsgNoRoom(r *rig) {
	fd, peer := r.udp()
	w := r.submit(r.recvMsg(fd, 0))
	r.sendTo(peer, fd, []byte("x"))
	r.Equal(told{errno: syscall.EFAULT}, w.end())
}

func recvMsgControl(r *rig) {
	fd, peer := r.udp()
	r.NoError(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1))
	r.NoError(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
	w := r.submit(r.recvMsg(fd, 128))
	for i := range 20 {
		r.sendTo(peer, fd, datagram(i, 100))
	}
	r.until("all", func() bool { return len(w.msgs) == 20 })
	for i, m := range w.msgs {
		r.Equal(string(datagram(i, 100)), m.payload)
		r.Zero(m.flags)
		got := map[[2]int32]bool{}
		for _, c := range r.cmsgs(m.control) {
			got[[2]int32{c.Header.Level, c.Header.Type}] = true
		}
		r.Equal(map[[2]int32]bool{
			{unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS}: true, {unix.IPPROTO_IP, unix.IP_PKTINFO}: true,
		}, got)
	}
	w.stop()
}

func recvMsgNoControl(r *rig) {
	fd, peer := r.udp()
	r.NoError(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
	w := r.submit(r.recvMsg(fd, 8))
	r.sendTo(peer, fd, []byte("x"))
	r.until("it", func() bool { return len(w.msgs) == 1 })
	r.Equal("x", w.msgs[0].payload)
	r.NotZero(w.msgs[0].flags & unix.MSG_CTRUNC)
	w.stop()
}

// recvMsgCanary: buffers are used again and again; each message must show its own bytes and its own length only.
func recvMsgCanary(r *rig) {
	fd, peer := r.udp()
	w := r.submit(r.recvMsg(fd, 0))
	rnd := rand.New(rand.NewPCG(7, 8))
	for i := range 300 {
		p := datagram(i, rnd.IntN(1500))
		r.sendTo(peer, fd, p)
		r.until("it", func() bool { return len(w.msgs) == i+1 })
		r.Equal(string(p), w.msgs[i].payload)
	}
	w.stop()
}

// refuse connects fd to a port that nobody has.
func (r *rig) refuse(fd int) {
	none, _ := r.udp()
	to := r.addrOf(none)
	r.close(none)
	r.NoError(unix.Connect(fd, to))
}

func recvMsgRefused(r *rig) {
	fd, _ := r.udp()
	r.refuse(fd)
	w := r.submit(r.recvMsg(fd, 0))
	for range 3 {
		r.idle()
		r.write(fd, []byte("x"))
		r.Equal(told{errno: syscall.ECONNREFUSED}, w.end())
		w.got = nil
		r.submit(w)
	}
	w.stop()
}

func recvMsgNoBuffers(r *rig) {
	fd, peer := r.udp()
	w := r.recvMsg(fd, 0)
	w.keep = true
	r.submit(w)
	for i := range 8 {
		r.sendTo(peer, fd, datagram(i, 100))
	}
	for len(w.msgs) < 8 {
		r.until("no buffers, or the last", func() bool { return w.ended() || len(w.msgs) == 8 })
		if w.ended() {
			r.Equal(syscall.ENOBUFS, w.got[len(w.got)-1].errno)
			r.Len(w.leases, 1)
			w.release()
			r.submit(w)
		}
	}
	for i, m := range w.msgs {
		r.Equal(string(datagram(i, 100)), m.payload)
	}
	w.stop()
	w.release()
}

func recvMsgCancel(r *rig) {
	atEveryPoint(r, func() (*watched, func(), func(told)) {
		fd, peer := r.udp()
		w := r.submit(r.recvMsg(fd, 0))
		return w, func() { r.sendTo(peer, fd, []byte("before")) }, func(told) {
			// Received or still in the socket, never lost.
			r.sendTo(peer, fd, []byte("after"))
			next := r.submit(r.recvMsg(fd, 0))
			r.until("what came after", func() bool {
				n := len(next.msgs)
				return n > 0 && next.msgs[n-1].payload == "after"
			})
			r.LessOrEqual(len(w.msgs)+len(next.msgs), 2)
			next.stop()
			r.close(fd)
			r.close(peer)
		}
	})
}

func recvMsgIntoOrder(r *rig) {
	fd, peer := r.udp()
	from := raw(r.addrOf(peer))
	for i := range 100 {
		h := &header{name: make([]byte, 28), payload: [][]byte{make([]byte, 10), make([]byte, 2000)}}
		w := r.msg(op.RecvMsgInto, fd, h)
		if i%2 == 0 {
			r.submit(w)
			r.idle()
		}
		want := datagram(i, i*10)
		r.sendTo(peer, fd, want)
		if i%2 != 0 {
			r.submit(w)
		}
		r.Equal(told{result: int32(len(want))}, w.end())
		r.Equal(from, h.name[:h.hdr.Namelen])
		got := append(h.payload[0], h.payload[1]...)[:len(want)]
		r.Equal(want, got)
	}
}

func recvMsgIntoCut(r *rig) {
	fd, peer := r.udp()
	h := &header{payload: [][]byte{make([]byte, 10)}}
	w := r.submit(r.msg(op.RecvMsgInto, fd, h))
	r.sendTo(peer, fd, datagram(1, 20))
	r.Equal(told{result: 10}, w.end())
	r.NotZero(h.hdr.Flags & unix.MSG_TRUNC)
	r.Equal(datagram(1, 20)[:10], h.payload[0])
}

func recvMsgIntoPeek(r *rig) {
	fd, peer := r.udp()
	r.sendTo(peer, fd, []byte("look"))
	for _, flags := range []uint32{unix.MSG_PEEK, unix.MSG_PEEK, 0} {
		h := &header{payload: [][]byte{make([]byte, 10)}}
		w := r.msg(op.RecvMsgInto, fd, h)
		w.Events = flags
		r.Equal(told{result: 4}, r.submit(w).end())
		r.Equal("look", string(h.payload[0][:4]))
	}
}

func recvMsgIntoRefused(r *rig) {
	fd, _ := r.udp()
	r.refuse(fd)
	w := r.submit(r.msg(op.RecvMsgInto, fd, &header{payload: [][]byte{make([]byte, 10)}}))
	r.idle()
	r.write(fd, []byte("x"))
	r.Equal(told{errno: syscall.ECONNREFUSED}, w.end())
}

func recvMsgIntoCancel(r *rig) {
	atEveryPoint(r, func() (*watched, func(), func(told)) {
		fd, peer := r.udp()
		h := &header{payload: [][]byte{make([]byte, 10)}}
		w := r.submit(r.msg(op.RecvMsgInto, fd, h))
		return w, func() { r.sendTo(peer, fd, []byte("before")) }, func(last told) {
			if last.errno == 0 {
				r.Equal("before", string(h.payload[0][:last.result]))
			}
			r.close(fd)
			r.close(peer)
		}
	})
}
