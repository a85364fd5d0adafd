//go:build linux

package simtest

import (
	"fmt"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/internal/simkernel"
)

// A peer is the other machine's end of a talk: it sends total bytes, half-closes, reads to the end of file and closes,
// unless it is to break off before. It is an agent of the simulated world, so each step is a call that does not wait.
type peer struct {
	t      *talk
	remote *simkernel.Remote
	port   uint16

	total  int
	abort  ending // what it does after abortAt steps
	steps  int
	late   int // steps of the world before it dials
	nap    int // steps for which it does nothing
	asleep time.Time
	halved bool
	closed bool
}

type ending uint8

const (
	orderly ending = iota
	resets
	closes
)

func (p *peer) Ready() bool {
	switch {
	case p.closed || time.Now().Before(p.asleep):
		return false
	case p.late > 0 || p.nap > 0:
		return true
	case p.remote == nil:
		return p.t.w.kernel.CanDial(p.port) || !p.t.w.accepting
	}
	recv, send := p.remote.Can()
	return recv || send && p.t.cSent < p.total || p.t.cSent == p.total && !p.halved || p.abort != orderly
}

func (p *peer) Step() {
	switch {
	case p.late > 0:
		p.late--
	case p.remote == nil:
		p.dial()
	case p.nap > 0:
		p.nap--
	case p.abort != orderly && p.steps == 0:
		p.t.note("peer breaks off (%d)", p.abort)
		p.t.peerBroke = true
		p.close(p.abort == resets)
	default:
		p.steps--
		p.move()
	}
}

// dial connects; a peer that finds no listener gives up, as the server is shutting down.
func (p *peer) dial() {
	w := p.t.w
	p.remote = w.kernel.Dial(p.port)
	if p.remote == nil {
		p.closed = true
		p.t.over = true
		return
	}
	w.talks[p.remote.Port()] = p.t
	p.t.note("dials")
}

// move does one of what can be done.
func (p *peer) move() {
	tape := p.t.w.tape
	recv, send := p.remote.Can()
	send = send && p.t.cSent < p.total
	if recv && send {
		recv = tape.Choose(2) == 0
	}
	switch {
	case tape.rarely(12):
		p.nap = tape.between(1, 30)
	case tape.rarely(20):
		p.asleep = time.Now().Add(time.Duration(tape.between(1, 60)) * time.Millisecond)
	case recv:
		p.recv()
	case send:
		n := min(p.total-p.t.cSent, 1+tape.Choose(700))
		n, errno := p.remote.Send(pattern(p.t.id, up, p.t.cSent, n))
		p.t.cSent += n
		if errno != 0 {
			p.failed(errno)
		}
	case p.t.cSent == p.total && !p.halved:
		p.halved = true
		p.remote.CloseWrite()
		p.t.note("peer half-closes after %d", p.total)
	}
}

func (p *peer) recv() {
	b := make([]byte, 1+p.t.w.tape.Choose(900))
	n, errno := p.remote.Recv(b)
	switch {
	case errno == syscall.EAGAIN:
	case errno != 0:
		p.failed(errno)
	case n == 0:
		p.t.peerEOF()
		if p.halved {
			p.close(false)
			return
		}
		p.t.cutShort = true // the server does not want the rest
		p.close(false)
	default:
		p.t.peerGot(b[:n])
	}
}

// failed ends the peer.
func (p *peer) failed(errno syscall.Errno) {
	p.t.note("peer fails: %v", errno)
	if !p.t.mayFail() {
		p.t.wrong("the peer got %v, and nobody has done anything wrong", errno)
	}
	p.t.peerFailed = true
	p.close(false)
}

func (p *peer) close(reset bool) {
	if !p.closed {
		p.closed = true
		p.remote.Close(reset)
	}
}

// Directions of the patterns.
const (
	up   = 0 // peer to server
	down = 1
)

// pattern is n bytes from position at of the endless stream of a talk and a direction. No short stretch of it occurs
// elsewhere soon.
func pattern(talk, dir, at, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		x := uint32(at+i+1)*2654435761 ^ uint32(talk+1)*2246822519 ^ uint32(dir)*3266489917
		p[i] = byte(x>>24 ^ x>>13)
	}
	return p
}

// differs tells where b first differs from the pattern.
func differs(b []byte, talk, dir, at int) string {
	for i, want := range pattern(talk, dir, at, len(b)) {
		if b[i] != want {
			return fmt.Sprintf("byte %d is %#x instead of %#x", at+i, b[i], want)
		}
	}
	return ""
}
