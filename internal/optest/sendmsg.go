//go:build linux

package optest

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

var sendMsgChecks = []check{
	{name: "to an address, gathered", run: sendMsgTo},
	{name: "connected", run: sendMsgConnected},
	{name: "many in one turn", run: sendMsgMany},
	{name: "too large", run: sendMsgLarge},
	{name: "not connected", run: sendMsgNowhere},
	{name: "refused", run: sendMsgRefused},
	{name: "descriptors as control data", run: sendMsgRights},
	{name: "waits for a full queue", run: sendMsgWaits},
	{name: "cancel at every point", run: sendMsgCancel},
}

func sendMsgTo(r *rig) {
	fd, peer := r.udp()
	for i := range 100 {
		want := datagram(i, i*15)
		cut := i * 4
		h := &header{name: raw(r.addrOf(peer)), payload: [][]byte{want[:cut], want[cut:]}}
		r.Equal(told{result: int32(len(want))}, r.submit(r.msg(op.SendMsg, fd, h)).end())
		r.Equal(want, r.from(peer))
	}
}

func sendMsgConnected(r *rig) {
	fd, peer := r.udp()
	r.NoError(unix.Connect(fd, r.addrOf(peer)))
	r.Equal(told{result: 5}, r.submit(r.msg(op.SendMsg, fd, &header{payload: [][]byte{[]byte("hello")}})).end())
	r.Equal("hello", string(r.from(peer)))
}

// sendMsgMany: datagrams of one turn all arrive, whole, whatever their order.
func sendMsgMany(r *rig) {
	const turns, each = 10, 50
	fd, peer := r.udp()
	to := raw(r.addrOf(peer))
	for turn := range turns {
		var all []*watched
		want := map[string]bool{}
		for i := range each {
			p := datagram(turn*each+i, 100+i)
			want[string(p)] = true
			all = append(all, r.submit(r.msg(op.SendMsg, fd, &header{name: to, payload: [][]byte{p}})))
		}
		for i, w := range all {
			r.Equal(told{result: int32(100 + i)}, w.end())
		}
		for range each {
			p := string(r.from(peer))
			r.True(want[p], "a datagram that nobody sent, or that came twice")
			delete(want, p)
		}
	}
}

func sendMsgLarge(r *rig) {
	fd, peer := r.udp()
	h := &header{name: raw(r.addrOf(peer)), payload: [][]byte{make([]byte, 65508)}}
	r.Equal(told{errno: syscall.EMSGSIZE}, r.submit(r.msg(op.SendMsg, fd, h)).end())
}

func sendMsgNowhere(r *rig) {
	fd, _ := r.udp()
	r.Equal(told{errno: syscall.EDESTADDRREQ}, r.submit(r.msg(op.SendMsg, fd, &header{payload: [][]byte{{1}}})).end())
}

func sendMsgRefused(r *rig) {
	fd, _ := r.udp()
	r.refuse(fd)
	r.write(fd, []byte("x"))
	r.Equal(told{errno: syscall.ECONNREFUSED}, r.submit(r.msg(op.SendMsg, fd, &header{payload: [][]byte{{1}}})).end())
}

func sendMsgRights(r *rig) {
	fd, peer := r.unixPair()
	h := &header{control: unix.UnixRights(peer), payload: [][]byte{[]byte("take")}}
	r.Equal(told{result: 4}, r.submit(r.msg(op.SendMsg, fd, h)).end())
	oob := make([]byte, 64)
	n, oobn, _, _, err := unix.Recvmsg(peer, make([]byte, 10), oob, unix.MSG_CMSG_CLOEXEC)
	r.NoError(err)
	r.Equal(4, n)
	rights, err := unix.ParseUnixRights(&r.cmsgs(string(oob[:oobn]))[0])
	r.NoError(err)
	r.Len(rights, 1)
	r.NoError(unix.Close(rights[0]))
}

// fillUp sends until the queue takes no more, and returns how many it took.
func (r *rig) fillUp(fd int) int {
	for n := 0; ; n++ {
		if err := unix.Sendto(fd, []byte("full"), unix.MSG_DONTWAIT, nil); err != nil {
			r.ErrorIs(err, unix.EAGAIN)
			return n
		}
	}
}

func sendMsgWaits(r *rig) {
	fd, peer := r.unixPair()
	n := r.fillUp(fd)
	w := r.submit(r.msg(op.SendMsg, fd, &header{payload: [][]byte{[]byte("waited")}}))
	r.stillFlying(w)
	for range n {
		r.Equal("full", string(r.from(peer)))
	}
	r.Equal(told{result: 6}, w.end())
	r.Equal("waited", string(r.from(peer)))
}

func sendMsgCancel(r *rig) {
	atEveryPoint(r, func() (*watched, func(), func(told)) {
		fd, peer := r.unixPair()
		n := r.fillUp(fd)
		w := r.submit(r.msg(op.SendMsg, fd, &header{payload: [][]byte{[]byte("perhaps")}}))
		room := func() {
			for range n {
				r.Equal("full", string(r.from(peer)))
			}
			n = 0
		}
		return w, room, func(last told) {
			room()
			if last.errno == 0 {
				r.Equal("perhaps", string(r.from(peer)))
			}
			_, _, err := unix.Recvfrom(peer, make([]byte, 10), unix.MSG_DONTWAIT)
			r.ErrorIs(err, unix.EAGAIN, "sent, though the operation failed")
			r.close(fd)
			r.close(peer)
		}
	})
}
