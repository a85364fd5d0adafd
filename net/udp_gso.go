//go:build linux

package net

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
)

// gsoState is what is known of the kernel's readiness to cut one send into datagrams (UDP_SEGMENT).
type gsoState struct {
	// ready is 0 while unknown, 1 when the kernel has it, 2 when not, or when the route's device cannot.
	ready atomic.Uint32
	// limit is the smallest payload that was refused, as larger than the path's MTU allows; 0 none.
	limit atomic.Int32
}

// WriteBatch sends ms in order and waits where the socket has no room. It returns how many went, and with fewer than all
// why not the next one. flags must be 0. Messages in a row with one receiver, one length (the last may be shorter) and no
// control messages go through the kernel as one, which cuts them apart as late as it can (UDP_SEGMENT, Linux 4.18).
func (c *UDPConn) WriteBatch(ms []Message, flags int) (int, error) {
	switch {
	case !c.ok():
		return 0, syscall.EINVAL
	case flags != 0:
		return 0, c.opError("write", nil, errBatchFlags)
	}
	b := batches.Get().(*batch)
	defer b.free()
	done := 0
	for done < len(ms) {
		if err := c.fill(b, ms[done:]); err != nil {
			return done, err
		}
		err := c.sendBatch(b)
		n := 0
		for i := range b.sent {
			n += b.counts[i]
		}
		for i := range ms[done : done+n] {
			m := &ms[done+i]
			m.N, m.NN = m.length(), len(m.OOB)
		}
		done += n
		if err == nil {
			continue
		}
		if b.sent < len(b.msgs) && b.counts[b.sent] > 1 && c.noSegments(err, ms[done].length()) {
			continue // once more, apart
		}
		to := Addr(nil)
		if done < len(ms) {
			to = ms[done].Addr
		}
		return done, c.opError("write", to, err)
	}
	return done, nil
}

func (m *Message) length() int {
	n := 0
	for _, p := range m.Buffers {
		n += len(p)
	}
	return n
}

// noSegments notes that a segmented send was refused, and reports whether it is worth trying the messages one by one.
func (c *UDPConn) noSegments(err error, size int) bool {
	switch {
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EMSGSIZE):
		c.gso.limit.Store(int32(size)) // larger than the path's MTU allows
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOPROTOOPT):
		c.gso.ready.Store(2) // the device has no checksum offload
	default:
		return false
	}
	return true
}

// segments reports whether messages of size bytes may be joined.
func (c *UDPConn) segments(size int) bool {
	if limit := int(c.gso.limit.Load()); limit != 0 && size >= limit {
		return false
	}
	ready := c.gso.ready.Load()
	if ready == 0 {
		ready = c.probeSegments()
	}
	return ready == 1
}

// probeSegments asks the kernel: older ones take a control message that they do not know for nothing, and send all as
// one. It is apart since its closure takes memory.
func (c *UDPConn) probeSegments() uint32 {
	ready := uint32(2)
	_ = c.control(func(fd int) error {
		if _, err := unix.GetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT); err == nil {
			ready = 1
		}
		return nil
	})
	c.gso.ready.Store(ready)
	return ready
}

// fill prepares the system calls for as many of ms as are valid; the first must be.
func (c *UDPConn) fill(b *batch, ms []Message) error {
	iovs := 0
	for i := range ms {
		iovs += len(ms[i].Buffers)
	}
	b.room(len(ms), iovs)
	b.sent, b.errno = 0, 0
	for i := 0; i < len(ms); {
		m := &ms[i]
		n, err := c.nameOf(m, b.names[len(b.msgs)][:])
		if err != nil {
			if i == 0 {
				return err
			}
			return nil // for the next round
		}
		at := len(b.msgs)
		h := &b.add().Hdr
		if n > 0 {
			h.Name, h.Namelen = &b.names[at][0], uint32(n)
		}
		if len(m.OOB) > 0 {
			h.Control = &m.OOB[0]
			h.SetControllen(len(m.OOB))
		}
		b.gather(m)
		run := c.run(ms[i:])
		if run > 1 {
			for j := 1; j < run; j++ {
				b.gather(&ms[i+j])
			}
			b.counts[at] = run
			h.Control = &b.controls[at][0]
			h.SetControllen(dgram.PutSegment(b.controls[at][:], m.length()))
		}
		i += run
	}
	return nil
}

const maxVectors = 1024 // UIO_MAXIOV

// run is how many of ms, from the first on, can go as one.
func (c *UDPConn) run(ms []Message) int {
	first := &ms[0]
	size := first.length()
	if len(ms) < 2 || size == 0 || len(first.OOB) > 0 || !c.segments(size) {
		return 1
	}
	total, vectors := size, len(first.Buffers)
	n := 1
	for n < min(len(ms), dgram.MaxSegments) {
		m := &ms[n]
		next := m.length()
		vectors += len(m.Buffers)
		if next == 0 || next > size || total+next > dgram.MaxPayload || vectors > maxVectors || len(m.OOB) > 0 ||
			!sameAddr(first.Addr, m.Addr) {
			break
		}
		total += next
		n++
		if next < size {
			break // a shorter one ends it
		}
	}
	return n
}

func sameAddr(a, b Addr) bool {
	if a == b {
		return true
	}
	x, ok := a.(*UDPAddr)
	y, ok2 := b.(*UDPAddr)
	return ok && ok2 && x != nil && y != nil && x.Port == y.Port && x.Zone == y.Zone && x.IP.Equal(y.IP)
}

// nameOf writes the receiver of m; 0 bytes on a connected socket. The errors are the standard library's.
func (c *UDPConn) nameOf(m *Message, name []byte) (int, error) {
	connected := c.std.RemoteAddr() != nil
	if m.Addr == nil && connected {
		return 0, nil
	}
	a, ok := m.Addr.(*UDPAddr)
	if ok && a != nil && !connected {
		if n := c.putName(name, addrPortOf(a)); n > 0 {
			return n, nil
		}
	}
	if ok || m.Addr == nil {
		_, _, err := c.std.WriteMsgUDP(nil, nil, a)
		return 0, err
	}
	_, err := c.std.WriteTo(nil, m.Addr)
	return 0, err
}

// sendBatch sends what fill has prepared; b.sent says how far it got.
func (c *UDPConn) sendBatch(b *batch) error {
	for {
		if pc := c.onEngine(); pc != nil {
			n, err := pc.WriteMsgs(b.msgs[b.sent:])
			b.sent += n
			return named("sendmmsg", err)
		}
		var err error
		if onCoroutine() {
			_, err = awaited(func() (int, error) { return 0, c.raw.Write(b.fn) })
		} else {
			err = c.raw.Write(b.fn)
		}
		switch {
		case err == nil && b.errno != 0:
			return os.NewSyscallError("sendmmsg", b.errno)
		case err == nil:
			return nil
		case !c.thrownOut(err):
			return bare(err)
		}
	}
}
