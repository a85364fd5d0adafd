//go:build linux

package simkernel

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/op"
)

// A gram is a UDP socket. Its datagrams are whole, and each has one end (Fate):
//
//	sent ──▶ under way (out) ──▶ arrived (in) ──▶ taken by a receive
//	              │ │ └ nobody has the port: refused, which a connected sender is told
//	              │ └ no room in the receiver's buffer: dropped
//	              └ the network loses it
//
// The network keeps the order of a sender's datagrams but where Faults.Overtake has one go before others.
type gram struct {
	k             *Kernel
	local, remote op.Endpoint // remote.Port is 0 where it is not connected
	out, in       []*Datagram
	outBytes      int
	inBytes       int
	err           syscall.Errno // reported once
	joins         bool          // UDP_GRO
	gone          bool          // no file any more
	sent, taken   []*Datagram
	failed        map[syscall.Errno]int // results of receives and sends that were errors, the direct ones too
}

// Fate is what has become of a datagram.
type Fate uint8

const (
	// UnderWay: the network has it.
	UnderWay Fate = iota
	// Arrived: it waits in its receiver's buffer.
	Arrived
	// Taken: a receive has got it.
	Taken
	// Lost: the network has lost it.
	Lost
	// Dropped: its receiver's buffer had no room.
	Dropped
	// Refused: nobody has the port.
	Refused
	// Discarded: its receiver was closed.
	Discarded
	// CutOff: it was joined to others, and the receive had no room for any of it.
	CutOff
)

// Datagram is one of them. Its fields change while the kernel runs.
type Datagram struct {
	// From and To are ports.
	From, To uint16
	// Payload are its bytes, not to be changed.
	Payload []byte
	// Fate is what has become of it.
	Fate Fate
	// Room is how many of its bytes the receive that took it had room for. Cut says that MSG_TRUNC stands on what it is the
	// last part of.
	Room int
	Cut  bool
}

// gramCost is what a datagram counts in a buffer besides its bytes.
const gramCost = 64

func cost(d *Datagram) int { return gramCost + len(d.Payload) }

func (k *Kernel) newGram(connectedTo uint16) *gram {
	s := &gram{k: k, local: k.endpoint(k.freePort()), failed: map[syscall.Errno]int{}}
	if connectedTo != 0 {
		s.remote = k.endpoint(connectedTo)
	}
	if k.ports == nil {
		k.ports = map[uint16]*gram{}
	}
	k.ports[s.local.Port] = s
	k.grams = append(k.grams, s)
	return s
}

// flow moves a datagram of s, which has one, on its way.
func (s *gram) flow() {
	k, i := s.k, 0
	if len(s.out) > 1 && k.fault("datagram overtakes others", k.cfg.Faults.Overtake) {
		i = 1 + k.choose(len(s.out)-1)
	}
	d := s.out[i]
	s.out = slices.Delete(s.out, i, i+1)
	s.outBytes -= cost(d)
	if s.gone && len(s.out) == 0 {
		s.unlist()
	}
	to := k.ports[d.To]
	switch {
	case k.fault("datagram is lost", k.cfg.Faults.Lose):
		d.Fate = Lost
	case to == nil, to.remote.Port != 0 && to.remote.Port != d.From:
		d.Fate = Refused
		k.tally.add("datagram is refused")
		if s.remote.Port != 0 {
			s.err = syscall.ECONNREFUSED
		}
	case to.inBytes >= k.cfg.ReceiveBuffer:
		d.Fate = Dropped
		k.tally.add("no room for a datagram")
	default:
		d.Fate = Arrived
		to.in = append(to.in, d)
		to.inBytes += cost(d)
	}
}

func (s *gram) unlist() {
	if i := slices.Index(s.k.grams, s); i >= 0 {
		s.k.grams = slices.Delete(s.k.grams, i, i+1)
	}
}

// release is the end of the last file of s. What it has sent goes on.
func (s *gram) release() {
	s.gone = true
	delete(s.k.ports, s.local.Port)
	for _, d := range s.in {
		d.Fate = Discarded
	}
	s.in = nil
	if len(s.out) == 0 {
		s.unlist()
	}
}

func (s *gram) readable() bool { return len(s.in) > 0 || s.err != 0 }
func (s *gram) writable() bool { return s.outBytes < s.k.cfg.SendBuffer || s.err != 0 }

// events is what poll(2) reports.
func (s *gram) events() (e uint32) {
	if s.readable() {
		e |= unix.EPOLLIN
	}
	if s.writable() {
		e |= unix.EPOLLOUT
	}
	if s.err != 0 {
		e |= unix.EPOLLERR
	}
	return e
}

// told gives out the error of s, if there is one.
func (s *gram) told() syscall.Errno {
	e := s.err
	s.err = 0
	return e
}

// errno notes that a call or an operation fails.
func (s *gram) errno(e syscall.Errno) syscall.Errno {
	if e != 0 && e != syscall.EAGAIN {
		s.failed[e]++
	}
	return e
}

// send is sendmsg(2) without waiting.
func (s *gram) send(h *unix.Msghdr) (int, syscall.Errno) {
	if e := s.told(); e != 0 {
		return 0, e
	}
	to := s.remote.Port
	if ap, _ := dgram.ParseName(nameOf(h)); ap.IsValid() {
		to = ap.Port()
	}
	var p []byte
	for _, q := range pieces(h) {
		p = append(p, q...)
	}
	each := segmentOf(h)
	switch {
	case to == 0:
		return 0, syscall.EDESTADDRREQ
	case len(p) > dgram.MaxPayload:
		return 0, syscall.EMSGSIZE
	case each > 0 && (len(p)+each-1)/each > dgram.MaxSegments:
		return 0, syscall.EINVAL
	case s.outBytes >= s.k.cfg.SendBuffer:
		return 0, syscall.EAGAIN
	}
	s.put(to, p, each)
	return len(p), 0
}

// put sends p, cut into datagrams of each bytes unless that is 0.
func (s *gram) put(to uint16, p []byte, each int) {
	for rest := p; ; {
		n := len(rest)
		if each > 0 {
			n = min(n, each)
		}
		d := &Datagram{From: s.local.Port, To: to, Payload: rest[:n:n]}
		s.out, s.sent = append(s.out, d), append(s.sent, d)
		s.outBytes += cost(d)
		if rest = rest[n:]; len(rest) == 0 {
			return
		}
	}
}

// A receipt is what a receive gets.
type receipt struct {
	from    uint16
	payload []byte
	joined  int // the length of each part, 0 for one datagram
	flags   int
}

// take has a receive with this much room take what is next; there is something.
func (s *gram) take(room int) (r receipt) {
	first := s.in[0]
	n := s.joinable()
	if r.from = first.From; n > 1 {
		r.joined = len(first.Payload)
	}
	cut := false
	for i, d := range s.in[:n] {
		s.inBytes -= cost(d)
		d.Room = min(room-len(r.payload), len(d.Payload))
		cut = cut || d.Room < len(d.Payload)
		r.payload = append(r.payload, d.Payload[:d.Room]...)
		if d.Room == 0 && i > 0 {
			d.Fate = CutOff
			continue
		}
		d.Fate = Taken
		s.taken = append(s.taken, d)
	}
	if s.in = s.in[n:]; cut {
		r.flags = unix.MSG_TRUNC
		s.taken[len(s.taken)-1].Cut = true
	}
	return r
}

// joinable chooses how many of what has arrived the kernel has joined.
func (s *gram) joinable() int {
	first, total := s.in[0], len(s.in[0].Payload)
	if !s.joins || total == 0 {
		return 1
	}
	n := 1
	for n < len(s.in) && n < dgram.MaxSegments {
		d := s.in[n]
		size := len(d.Payload)
		if d.From != first.From || size == 0 || size > len(first.Payload) || total+size > dgram.MaxPayload {
			break
		}
		total += size
		n++
		if size < len(first.Payload) {
			break
		}
	}
	return 1 + s.k.choose(n)
}

// recv is recvmsg(2) without waiting.
func (s *gram) recv(h *unix.Msghdr) (int, syscall.Errno) {
	switch {
	case s.err != 0:
		return 0, s.told()
	case len(s.in) == 0:
		return 0, syscall.EAGAIN
	}
	ps, room := pieces(h), 0
	for _, p := range ps {
		room += len(p)
	}
	r := s.take(room)
	rest := r.payload
	for _, p := range ps {
		rest = rest[copy(p, rest):]
	}
	flags := r.flags
	h.Namelen = uint32(s.putName(nameOf(h), r.from))
	control := joinedControl(r.joined)
	if room := controlOf(h); copy(room, control) < len(control) {
		flags |= unix.MSG_CTRUNC
		control = nil
	}
	h.SetControllen(len(control))
	h.Flags = int32(flags)
	return len(r.payload), 0
}

func (s *gram) putName(b []byte, port uint16) int {
	if len(b) < dgram.NameBytes {
		return 0
	}
	return dgram.PutName(b, addrPort(port), 0, false)
}
