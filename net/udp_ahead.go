//go:build linux

package net

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/proactor"
)

// udpAhead are datagrams that one system call has read from a socket with UDP_GRO, and that the socket's readers have not
// asked for yet: here what the kernel has joined is cut apart, to be given out one by one.
//
// It belongs to whoever holds the descriptor's read lock (readCall.run), and after the socket was closed for reading
// (move, Close) to who closed it.
//
// Sockets without UDP_GRO are not read ahead. It was tried, with recvmmsg as soon as many reads in a row had found a
// datagram waiting: a loop that reads one by one then needed 1.08 times the CPU of reads without it (bulk of 1,200
// bytes), and an echo of 64 clients no less than the standard library's.
type udpAhead struct {
	group *buffers.Group
	msgs  [aheadCount]dgram.Msg
	iovs  [aheadCount]unix.Iovec
	ids   [aheadCount]uint16
	bufs  [aheadCount][]byte
	names [aheadCount][dgram.NameBytes]byte
	oobs  [aheadCount][aheadControl]byte

	next, filled int
	cut          int // how much of msgs[next] is given out
}

const (
	aheadCount   = 32
	aheadControl = 128
	aheadBytes   = 64 << 10
)

// startAhead makes the memory; false means that there is none. Read lock.
func (c *UDPConn) startAhead() bool {
	g, err := buffers.NewGroup(buffers.GroupConfig{Size: aheadBytes, Count: aheadCount, Provide: 1})
	if err != nil {
		return false
	}
	a := &udpAhead{group: g}
	for i := range a.msgs {
		a.bufs[i], a.ids[i], _ = g.Take()
		a.iovs[i].Base = &a.bufs[i][0]
		a.iovs[i].SetLen(aheadBytes)
		h := &a.msgs[i].Hdr
		h.Name, h.Iov, h.Control = &a.names[i][0], &a.iovs[i], &a.oobs[i][0]
		h.SetIovlen(1)
		a.reset(i)
	}
	c.ahead = a
	return true
}

// dropAhead gives the memory back.
func (c *UDPConn) dropAhead() {
	a := c.ahead
	if a == nil {
		return
	}
	c.ahead = nil
	for _, id := range a.ids {
		a.group.Put(id)
	}
	_ = a.group.Close() // nothing is out
}

// fromAhead serves r from what was read ahead, and reads ahead when that is used up. false means that there is nothing.
func (r *readCall) fromAhead(fd int) bool {
	c := r.c
	a := c.ahead
	if a.next == a.filled {
		switch errno := a.fill(fd); errno {
		case 0:
		case syscall.EAGAIN:
			return false
		default:
			r.errno = errno
			return true
		}
	}
	if r.batch == nil {
		r.r = a.take(r.b, r.oob)
		return true
	}
	for r.done < len(r.batch) && a.next < a.filled {
		m := &r.batch[r.done]
		b, scattered := m.flat()
		got := a.take(b, m.OOB)
		if scattered {
			m.scatter(b[:got.N])
		}
		c.set(m, got)
		r.done++
	}
	return true
}

func (a *udpAhead) fill(fd int) syscall.Errno {
	for i := range a.filled {
		a.reset(i)
	}
	a.next, a.filled, a.cut = 0, 0, 0
	n, errno := dgram.Recv(fd, a.msgs[:], 0)
	if errno == 0 {
		a.filled = n
	}
	return errno
}

// reset gives a header its room back, which a receive has cut down to what it used.
func (a *udpAhead) reset(i int) {
	h := &a.msgs[i].Hdr
	h.Namelen = dgram.NameBytes
	h.SetControllen(aheadControl)
	h.Flags = 0
}

// at returns what is left of the next message.
func (a *udpAhead) at() (payload, name, control []byte, flags int) {
	m := &a.msgs[a.next]
	return a.bufs[a.next][a.cut:m.N], a.names[a.next][:m.Hdr.Namelen], a.oobs[a.next][:m.Hdr.Controllen], int(m.Hdr.Flags)
}

// take copies the next datagram out.
func (a *udpAhead) take(b, oob []byte) (r proactor.Received) {
	payload, name, control, flags := a.at()
	r.From, r.Zone = dgram.ParseName(name)
	r.Flags = flags
	last := true
	if seg := dgram.Segment(control); seg > 0 && seg < len(payload) {
		payload, last = payload[:seg], false
	}
	if r.N = copy(b, payload); r.N < len(payload) {
		r.Flags |= unix.MSG_TRUNC
	}
	whole := false
	if r.Control, whole = dgram.CopyControl(oob, control); !whole {
		r.Flags |= unix.MSG_CTRUNC
	}
	if last {
		a.next, a.cut = a.next+1, 0
	} else {
		a.cut += len(payload)
	}
	return r
}

// handOver gives what is left to the engine.
func (a *udpAhead) handOver(pc *proactor.PacketConn) {
	for a.next < a.filled {
		payload, name, control, flags := a.at()
		pc.Inject(name, control, payload, flags)
		a.next, a.cut = a.next+1, 0
	}
}
