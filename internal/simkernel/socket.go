//go:build linux

package simkernel

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// A socket is one end of a TCP connection, or a listener.
//
//	fresh ─connect─▶ connected ─reset─▶ dead
//	  └────listen──▶ listening
//
// Bytes go from out (sent, under way) over the network to the peer's in (arrived, to be read). A FIN follows the last
// byte of out. A reset overtakes everything: it empties out on both ends, leaves what has arrived to be read, and leaves
// an error that one call reports; after that reads are at the end of file and sends find a broken pipe.
type socket struct {
	k             *Kernel
	id            int
	state         state
	local, remote op.Endpoint
	peer          *socket
	in            []byte
	out           flight
	finQueued     bool // a FIN follows out
	finSent       bool
	finIn         bool // the peer's FIN has arrived
	rdShut        bool
	err           syscall.Errno // reported once
	linger0       bool          // close resets
	gone          bool          // no file any more
	disturbed     bool          // something went wrong on this connection that was neither end's doing
	taken, put    uint64        // bytes that were read from it, and sent on it
	copies        bool          // it can do nothing else
	loans         []*loan       // memory that it was given bytes of

	backlog int
	queue   []*socket // accepted by the network, not by the program
}

type state uint8

const (
	fresh state = iota
	listening
	connected
	dead
)

func (k *Kernel) newSocket() *socket {
	k.lastID++
	return &socket{k: k, id: k.lastID}
}

// canFlow reports whether the network can move something from s.
func (s *socket) canFlow() bool {
	if s.state != connected || s.peer == nil {
		return false
	}
	if s.out.len() > 0 {
		return s.peer.gone || len(s.peer.in) < s.k.cfg.ReceiveBuffer
	}
	return s.finQueued && !s.finSent
}

// flow moves some of what s has sent.
func (s *socket) flow() {
	k, p := s.k, s.peer
	if f := k.cfg.Faults.Reset; f > 0 && k.fault("connection reset", f) {
		s.disturbed, p.disturbed = true, true
		s.hear(syscall.ECONNRESET)
		p.hear(syscall.ECONNRESET)
		return
	}
	switch {
	case s.out.len() > 0 && p.gone:
		s.hear(syscall.ECONNRESET) // nobody is there to read it
	case s.out.len() > 0:
		n := k.amount(min(s.out.len(), k.cfg.ReceiveBuffer-len(p.in)))
		p.in = s.out.leave(p.in, n)
	default:
		s.finSent = true
		p.finIn = true
		s.quiet()
	}
}

// hear makes s learn of a reset.
func (s *socket) hear(errno syscall.Errno) {
	if s.state != connected {
		return
	}
	if s.finIn && errno == syscall.ECONNRESET {
		errno = syscall.EPIPE // RFC 9293 CLOSE-WAIT; Linux reports it so
	}
	s.err, s.state = errno, dead
	s.out.drop()
	s.unlist()
}

// quiet takes a socket out of the list when nothing will flow from it any more.
func (s *socket) quiet() {
	if s.finSent && s.gone {
		s.unlist()
	}
}

func (s *socket) unlist() {
	if i := slices.Index(s.k.sockets, s); i >= 0 {
		s.k.sockets = slices.Delete(s.k.sockets, i, i+1)
	}
}

// join connects s to l's side, where it waits to be accepted.
func (s *socket) join(l *socket) {
	k := s.k
	o := k.newSocket()
	if s.local.Port == 0 {
		s.local = k.endpoint(k.freePort())
	}
	s.remote, o.local, o.remote = l.local, l.local, s.local
	s.peer, o.peer = o, s
	s.state, o.state = connected, connected
	k.sockets = append(k.sockets, s, o)
	l.queue = append(l.queue, o)
}

func (s *socket) full() bool { return len(s.queue) > s.backlog }

// recv is recv(2) without waiting: EAGAIN when there is nothing.
func (s *socket) recv(p []byte) (int, syscall.Errno) {
	switch {
	case s.state == fresh || s.state == listening:
		return 0, syscall.ENOTCONN
	case len(s.in) > 0:
		n := copy(p, s.in)
		if n > 0 {
			n = s.k.amount(n)
		}
		s.in = s.in[n:]
		s.taken += uint64(n)
		return n, 0
	case s.err != 0:
		e := s.err
		s.err = 0
		return 0, e
	case s.finIn || s.rdShut || s.state == dead:
		return 0, 0
	}
	return 0, syscall.EAGAIN
}

func (s *socket) readable() bool {
	return s.state != connected || len(s.in) > 0 || s.err != 0 || s.finIn || s.rdShut
}

// send is send(2) without waiting.
func (s *socket) send(p []byte) (int, syscall.Errno) {
	n, errno := s.admit(len(p))
	s.out.copy(p[:n])
	return n, errno
}

// admit decides how many of n bytes are sent; whoever asks puts them in out.
func (s *socket) admit(n int) (int, syscall.Errno) {
	switch {
	case s.err != 0:
		e := s.err
		s.err = 0
		return 0, e
	case s.state != connected || s.finQueued:
		return 0, syscall.EPIPE
	case n == 0:
		return 0, 0
	}
	room := s.k.cfg.SendBuffer - s.out.len()
	if room == 0 {
		return 0, syscall.EAGAIN
	}
	n = s.k.amount(min(room, n))
	s.put += uint64(n)
	return n, 0
}

func (s *socket) writable() bool {
	return s.state != connected || s.err != 0 || s.finQueued || s.out.len() < s.k.cfg.SendBuffer
}

func (s *socket) shutdown(how int) syscall.Errno {
	if s.state != connected {
		return syscall.ENOTCONN
	}
	if how != syscall.SHUT_WR {
		s.rdShut = true
	}
	if how != syscall.SHUT_RD {
		s.finQueued = true
	}
	return 0
}

// events is what poll(2) reports.
func (s *socket) events() uint32 {
	var e uint32
	if s.state == listening {
		if len(s.queue) > 0 {
			e = unix.EPOLLIN
		}
		return e
	}
	if s.state == fresh {
		return unix.EPOLLOUT | unix.EPOLLHUP
	}
	if s.readable() {
		e |= unix.EPOLLIN
	}
	if s.writable() {
		e |= unix.EPOLLOUT
	}
	if s.finIn || s.rdShut || s.state == dead {
		e |= unix.EPOLLRDHUP
	}
	if s.state == dead || s.finIn && s.finQueued {
		e |= unix.EPOLLHUP
	}
	if s.err != 0 {
		e |= unix.EPOLLERR
	}
	return e
}

// release is the end of the last file of s.
func (s *socket) release() {
	s.gone = true
	switch s.state {
	case listening:
		delete(s.k.listeners, s.local.Port)
		for _, o := range s.queue {
			o.linger0 = true
			o.release()
		}
		s.queue = nil
	case connected:
		if s.linger0 || len(s.in) > 0 {
			s.in = nil
			s.peer.hear(syscall.ECONNRESET)
			s.hear(syscall.ECONNRESET)
			return
		}
		s.finQueued = true
		s.quiet()
	}
}
