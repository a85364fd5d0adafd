//go:build linux

package optest

import (
	"encoding/binary"
	"slices"

	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

// Tools for the checks of the operations on datagrams.

// A gotMsg is a copy of what a RecvMsg has received.
type gotMsg struct {
	name, control, payload string
	flags                  uint32
}

func (w *watched) takeMsg(b []byte) {
	h := w.Msg()
	p, ok := op.SplitMsg(b, int(h.Namelen), int(h.Controllen))
	w.r.True(ok, "%d bytes are too few for a message", len(b))
	w.msgs = append(w.msgs, gotMsg{string(p.Name), string(p.Control), string(p.Payload), p.Flags})
}

// recvMsg makes a RecvMsg with room for an IPv4 address and control bytes.
func (r *rig) recvMsg(fd, control int) *watched {
	w := r.op(op.RecvMsg, fd)
	h := &unix.Msghdr{Namelen: unix.SizeofSockaddrInet4}
	h.SetControllen(control)
	w.SetMsg(h)
	return w
}

// A header is a message with memory of its own.
type header struct {
	hdr           unix.Msghdr
	iovs          []unix.Iovec
	name, control []byte
	payload       [][]byte
}

func (h *header) build() *unix.Msghdr {
	h.hdr, h.iovs = unix.Msghdr{}, make([]unix.Iovec, len(h.payload))
	for i, p := range h.payload {
		if len(p) > 0 {
			h.iovs[i].Base = &p[0]
		}
		h.iovs[i].SetLen(len(p))
	}
	if len(h.iovs) > 0 {
		h.hdr.Iov = &h.iovs[0]
	}
	h.hdr.SetIovlen(len(h.iovs))
	if len(h.name) > 0 {
		h.hdr.Name, h.hdr.Namelen = &h.name[0], uint32(len(h.name))
	}
	if len(h.control) > 0 {
		h.hdr.Control = &h.control[0]
		h.hdr.SetControllen(len(h.control))
	}
	return &h.hdr
}

func (r *rig) msg(k op.Kind, fd int, h *header) *watched {
	w := r.op(k, fd)
	w.SetMsg(h.build())
	return w
}

// udp makes a bound UDP socket in the backend's mode, and a blocking one for its peer, not connected.
func (r *rig) udp() (fd, peer int) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|r.b.FileFlags(), 0)
	r.NoError(err)
	r.own(fd)
	r.NoError(unix.Bind(fd, loopback))
	peer, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	r.NoError(err)
	r.own(peer)
	r.NoError(unix.Bind(peer, loopback))
	r.guard(peer)
	return fd, peer
}

// unixPair makes a pair of Unix datagram sockets: what one sends waits when the other's queue is full.
func (r *rig) unixPair() (fd, peer int) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|r.b.FileFlags(), 0)
	r.NoError(err)
	r.own(p[0])
	r.own(p[1])
	r.NoError(unix.SetNonblock(p[1], false))
	r.guard(p[1])
	return p[0], p[1]
}

func (r *rig) sendTo(from, to int, p []byte) {
	r.t.Helper()
	r.NoError(unix.Sendto(from, p, 0, r.addrOf(to)))
}

// from receives one datagram at a blocking socket.
func (r *rig) from(fd int) []byte {
	r.t.Helper()
	p := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(fd, p, 0)
		if err == unix.EINTR {
			continue
		}
		r.NoError(err)
		return slices.Clip(p[:n])
	}
}

// cmsgs parses control data.
func (r *rig) cmsgs(b string) []unix.SocketControlMessage {
	m, err := unix.ParseSocketControlMessage([]byte(b))
	r.NoError(err)
	return m
}

// datagram is payload number i, of the length given, each unlike the others at every position.
func datagram(i, n int) []byte {
	p := make([]byte, n)
	for j := range p {
		p[j] = byte(i*7 + j)
	}
	if n >= 4 {
		binary.NativeEndian.PutUint32(p, uint32(i))
	}
	return p
}
