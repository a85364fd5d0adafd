//go:build linux

package net

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/proactor"
)

// udpAhead are datagrams that one system call has read, and that the socket's readers have not asked for yet. A program
// that reads one datagram at a time as fast as it can is served from here, and a socket with UDP_GRO has here what the
// kernel has joined, to be given out one by one.
//
// It belongs to whoever holds the descriptor's read lock (readCall.run), and after the socket was closed for reading
// (move, Close) to who closed it.
//
// When it pays: a loop that always finds the next datagram waiting (heat) saves a system call for most of them; one that
// waits for each would pay for more than it gets, so it reads directly. pays looks back over some fills and gives the
// memory back.
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
	fills, came  int // of the present review
}

const (
	aheadCount   = 32
	aheadControl = 128
	aheadBytes   = 64 << 10
	// hotReads is how many reads in a row must have found a datagram waiting before it is read ahead.
	hotReads = 32
	// review is after how many fills it is asked whether that still pays.
	review = 64
)

// heat counts reads that did not wait, and begins reading ahead when there were many in a row. Read lock.
func (c *UDPConn) heat(waited bool) {
	if waited {
		c.hot = 0
		return
	}
	if c.hot++; c.hot < hotReads<<min(c.cooled, 10) || c.exposed.Load() {
		return
	}
	c.hot = 0
	c.startAhead()
}

// startAhead makes the memory; without any, reading goes on as it was. Read lock.
func (c *UDPConn) startAhead() {
	g, err := buffers.NewGroup(buffers.GroupConfig{Size: aheadBytes, Count: aheadCount, Provide: 1})
	if err != nil {
		return
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

// fromAhead serves r from what was read ahead, and reads ahead when that is used up. false means that there is nothing,
// or, with c.ahead nil, that reading ahead has ended.
func (r *readCall) fromAhead(fd int) bool {
	c := r.c
	a := c.ahead
	if a.next == a.filled {
		if c.exposed.Load() && !c.gro.Load() || !a.pays() && !c.gro.Load() {
			c.cooled++
			c.dropAhead()
			return false
		}
		if errno := a.fill(fd); errno != 0 {
			r.errno = errno
			if errno == syscall.EAGAIN {
				r.errno = 0
				return false
			}
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
		a.fills++
		a.came += n
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

// pays reports whether the fills of late brought enough.
func (a *udpAhead) pays() bool {
	if a.fills < review {
		return true
	}
	enough := a.came >= 3*a.fills
	a.fills, a.came = 1, 1
	return enough
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
