//go:build linux

package simkernel

import "syscall"

// Remote is a socket on another machine, connected to one of this kernel's listeners. Its calls never wait: EAGAIN.
type Remote struct {
	k *Kernel
	s *socket
	f *file
}

// Dial connects to the listener on port. It returns nil when there is none, or when its queue is full.
func (k *Kernel) Dial(port uint16) *Remote {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.listeners[port]
	if l == nil || l.full() {
		return nil
	}
	s := k.newSocket()
	s.join(l)
	return &Remote{k, s, &file{socket: s, refs: 1}}
}

// CanDial reports whether Dial would connect.
func (k *Kernel) CanDial(port uint16) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.listeners[port]
	return l != nil && !l.full()
}

// Port is the remote's own port.
func (r *Remote) Port() uint16 { return r.s.local.Port }

// Send is send(2).
func (r *Remote) Send(p []byte) (int, syscall.Errno) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	return r.s.send(p)
}

// Recv is recv(2).
func (r *Remote) Recv(p []byte) (int, syscall.Errno) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	return r.s.recv(p)
}

// Can reports whether Recv and Send would do something.
func (r *Remote) Can() (recv, send bool) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	return r.s.readable(), r.s.writable()
}

// CloseWrite is shutdown(2) of the sending side.
func (r *Remote) CloseWrite() {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	r.s.shutdown(syscall.SHUT_WR)
}

// Close is close(2), with reset so that the other side sees a reset. Only once.
func (r *Remote) Close(reset bool) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	r.s.linger0 = r.s.linger0 || reset
	r.f.drop()
}

// Disturbed reports whether the kernel has injected what breaks the connection.
func (r *Remote) Disturbed() bool {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	return r.s.disturbed
}

// PeerPort is the port of the other end of the connection behind fd, whatever has become of it; 0 if fd is no connection.
func (k *Kernel) PeerPort(fd int) uint16 {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, errno := k.socketOf(fd)
	if errno != 0 || s.peer == nil {
		return 0
	}
	return s.remote.Port
}

// Engine tells what the other end, the engine's, has done: the bytes that it has read and that it has sent.
func (r *Remote) Engine() (read, sent uint64) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	return r.s.peer.taken, r.s.peer.put
}
