//go:build linux

package simkernel

import (
	"syscall"
)

// UDP makes a datagram socket, connected to a port unless that is 0. With joins the kernel joins datagrams for it (UDP_GRO).
// The descriptor stays open until Close.
func (k *Kernel) UDP(connectedTo uint16, joins bool) (fd int, g Gram) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.newGram(connectedTo)
	s.joins = joins
	fd, _ = k.install(&file{gram: s})
	return fd, Gram{k, s}
}

// RemoteUDP makes a datagram socket on another machine.
func (k *Kernel) RemoteUDP() Gram {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Gram{k, k.newGram(0)}
}

// A Gram looks at a datagram socket, also after its descriptor was closed. Send, Recv and Close are for those of
// RemoteUDP.
type Gram struct {
	k *Kernel
	s *gram
}

// GramState is what a test may know of a datagram socket.
type GramState struct {
	// Sent are the datagrams that it has sent, in order, Taken those that a receive has taken from it.
	Sent, Taken []*Datagram
	// Waiting is how many wait in its buffer.
	Waiting int
	// Writable tells whether a send would not have to wait.
	Writable bool
}

// State is the socket's at this moment.
func (g Gram) State() GramState {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	return GramState{g.s.sent, g.s.taken, len(g.s.in), g.s.writable()}
}

// Failed is how often receives and sends have ended with the error.
func (g Gram) Failed(errno syscall.Errno) int {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	return g.s.failed[errno]
}

// Port is its own.
func (g Gram) Port() uint16 { return g.s.local.Port }

// Send is sendto(2) without waiting; p becomes the kernel's.
func (g Gram) Send(to uint16, p []byte) syscall.Errno {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	if !g.s.writable() {
		return syscall.EAGAIN
	}
	g.s.put(to, p, 0)
	return 0
}

// Recv takes what has arrived next; nil when there is nothing.
func (g Gram) Recv() *Datagram {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	if len(g.s.in) == 0 {
		return nil
	}
	g.s.take(1 << 16)
	return g.s.taken[len(g.s.taken)-1]
}

// Close is close(2).
func (g Gram) Close() {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	g.s.release()
}
