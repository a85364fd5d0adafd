//go:build linux

package net

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/proactor"
)

// Message is one datagram of ReadBatch or WriteBatch. Its fields are those of Message in golang.org/x/net/ipv4 and ipv6,
// so that a value of one type converts to the other.
type Message struct {
	// Buffers hold the payload: all bytes of them are sent, or as many as came are filled.
	Buffers [][]byte
	// OOB are control messages: what is to be sent, or room for what comes.
	OOB []byte
	// Addr is the receiver, nil on a connected socket, or who sent it: a *UDPAddr. Consecutive datagrams of one sender
	// may share one; do not modify it.
	Addr Addr
	// N is how many bytes of the payload came or went, NN how many of the control messages.
	N, NN int
	// Flags are the MSG_ flags of what came, as in recvmsg(2): MSG_TRUNC, MSG_CTRUNC.
	Flags int
}

// gsoState is what is known of the kernel's readiness to cut one send into datagrams (UDP_SEGMENT).
type gsoState struct {
	// ready is 0 while unknown, 1 when the kernel has it, 2 when not, or when the route's device cannot.
	ready atomic.Uint32
	// limit is the smallest payload that was refused, as larger than the path's MTU allows; 0 none.
	limit atomic.Int32
}

// errBatchFlags refuses flags, which would mean something else when datagrams come from memory.
var errBatchFlags = errors.New("flags are not supported by ReadBatch and WriteBatch: give 0")

// batch is the memory of one ReadBatch or WriteBatch.
type batch struct {
	msgs     []dgram.Msg
	iovs     []unix.Iovec
	names    [][dgram.NameBytes]byte
	controls [][dgram.SegmentBytes]byte
	counts   []int // how many messages each of msgs stands for

	sent  int
	errno syscall.Errno
	fn    func(uintptr) bool
}

var batches = sync.Pool{New: func() any {
	b := new(batch)
	b.fn = b.send
	return b
}}

// room empties b and makes room for n messages with iovs vectors, which must not move afterwards.
func (b *batch) room(n, iovs int) {
	if cap(b.msgs) < n {
		b.msgs = make([]dgram.Msg, 0, n)
		b.names = make([][dgram.NameBytes]byte, n)
		b.controls = make([][dgram.SegmentBytes]byte, n)
		b.counts = make([]int, 0, n)
	}
	if cap(b.iovs) < iovs {
		b.iovs = make([]unix.Iovec, 0, iovs)
	}
	b.msgs, b.iovs, b.counts = b.msgs[:0], b.iovs[:0], b.counts[:0]
}

func (b *batch) free() {
	clear(b.msgs)
	clear(b.iovs)
	b.sent, b.errno = 0, 0
	batches.Put(b)
}

// add appends a message whose vectors follow, and returns it.
func (b *batch) add() *dgram.Msg {
	b.msgs = append(b.msgs, dgram.Msg{})
	b.counts = append(b.counts, 1)
	return &b.msgs[len(b.msgs)-1]
}

// gather appends the vectors of m to the last message.
func (b *batch) gather(m *Message) {
	h := &b.msgs[len(b.msgs)-1].Hdr
	for _, p := range m.Buffers {
		b.iovs = append(b.iovs, unix.Iovec{})
		v := &b.iovs[len(b.iovs)-1]
		if len(p) > 0 {
			v.Base = &p[0]
			v.SetLen(len(p))
		}
		if h.Iov == nil {
			h.Iov = v
		}
		h.SetIovlen(int(h.Iovlen) + 1)
	}
}

// send makes the system call for what is not sent yet. false means that the socket has no room.
func (b *batch) send(fd uintptr) bool {
	for b.sent < len(b.msgs) {
		n, errno := dgram.Send(int(fd), b.msgs[b.sent:], 0)
		b.sent += n
		switch errno {
		case 0:
		case syscall.EAGAIN:
			return false
		default:
			b.errno = errno
			return true
		}
	}
	return true
}

// ReadBatch reads datagrams into ms, as many as there are, and waits for the first. It returns how many came. flags must
// be 0. With SetGRO the kernel joins datagrams, which are apart again here.
func (c *UDPConn) ReadBatch(ms []Message, flags int) (n int, err error) {
	switch {
	case !c.ok():
		return 0, syscall.EINVAL
	case flags != 0:
		return 0, c.opError("read", nil, errBatchFlags)
	case len(ms) == 0:
		return 0, nil
	}
	for {
		if pc := c.onEngine(); pc != nil {
			n, err := c.readBatchEngine(pc, ms)
			if err != nil {
				err = c.opError("read", nil, named("recvmmsg", err))
			}
			return n, err
		}
		if onCoroutine() {
			n, err = awaited(func() (int, error) { return c.readBatchRuntime(ms) })
		} else {
			n, err = c.readBatchRuntime(ms)
		}
		if err == nil {
			return n, nil
		}
		if !c.thrownOut(err) {
			return n, c.opError("read", nil, err)
		}
	}
}

func (c *UDPConn) readBatchEngine(pc *proactor.PacketConn, ms []Message) (int, error) {
	for i := range ms {
		m := &ms[i]
		b, scattered := m.flat()
		var r proactor.Received
		if i == 0 {
			var err error
			if r, err = pc.Receive(b, m.OOB); err != nil {
				return 0, err
			}
		} else {
			var ok bool
			if r, ok = pc.ReceiveMore(b, m.OOB); !ok {
				return i, nil
			}
		}
		if scattered {
			m.scatter(b[:r.N])
		}
		c.set(m, r)
	}
	return len(ms), nil
}

// flat returns one slice to receive into.
func (m *Message) flat() (b []byte, scattered bool) {
	switch len(m.Buffers) {
	case 0:
		return nil, false
	case 1:
		return m.Buffers[0], false
	}
	n := 0
	for _, p := range m.Buffers {
		n += len(p)
	}
	return make([]byte, n), true
}

func (m *Message) scatter(b []byte) {
	for _, p := range m.Buffers {
		b = b[copy(p, b):]
	}
}

// set notes what came. An address that m has from an earlier read of the same sender stays.
func (c *UDPConn) set(m *Message, r proactor.Received) {
	m.N, m.NN, m.Flags = r.N, r.Control, r.Flags
	last := c.lastFrom.Load()
	if last == nil || last.from != r.From || last.zone != r.Zone {
		last = &sender{from: r.From, zone: r.Zone, addr: UDPAddrFromAddrPort(withZone(r.From, r.Zone))}
		c.lastFrom.Store(last)
	}
	m.Addr = last.addr
}

// sender is a datagram's source with its address made already.
type sender struct {
	from netip.AddrPort
	zone uint32
	addr *UDPAddr
}

func (c *UDPConn) readBatchRuntime(ms []Message) (int, error) {
	rc := readCalls.Get().(*readCall)
	rc.c, rc.batch = c, ms
	err := c.raw.Read(rc.fn)
	n, errno := rc.done, rc.errno
	rc.free()
	switch {
	case err != nil:
		return n, bare(err)
	case errno != 0:
		return n, os.NewSyscallError("recvmmsg", errno)
	}
	return n, nil
}

// runBatch receives straight into the messages. false means that there is nothing yet.
func (r *readCall) runBatch(fd int) bool {
	b := batches.Get().(*batch)
	defer b.free()
	iovs := 0
	for i := range r.batch {
		iovs += len(r.batch[i].Buffers)
	}
	b.room(len(r.batch), iovs)
	for i := range r.batch {
		m := &r.batch[i]
		h := &b.add().Hdr
		h.Name, h.Namelen = &b.names[i][0], dgram.NameBytes
		if len(m.OOB) > 0 {
			h.Control = &m.OOB[0]
			h.SetControllen(len(m.OOB))
		}
		b.gather(m)
	}
	n, errno := dgram.Recv(fd, b.msgs, 0)
	if errno == syscall.EAGAIN {
		return false
	}
	r.errno = errno
	for i := range n {
		m := &b.msgs[i]
		got := proactor.Received{N: int(m.N), Control: int(m.Hdr.Controllen), Flags: int(m.Hdr.Flags)}
		got.From, got.Zone = dgram.ParseName(b.names[i][:m.Hdr.Namelen])
		r.c.set(&r.batch[i], got)
	}
	r.done = n
	return true
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

// SetGRO has the kernel join datagrams of one sender that arrive together, which halves the cost of receiving many and
// more (UDP_GRO, udp(7), Linux 5.0). Every method of the socket still gives them out one by one; only who reads from the
// descriptor by himself (SyscallConn, File) sees them joined. It fails with ENOPROTOOPT where the kernel does not have it.
func (c *UDPConn) SetGRO(on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	v := 0
	if on {
		v = 1
		c.gro.Store(true) // before the first joined datagram can come; it stays set, as some may be waiting
	}
	return c.ownError("set", c.control(func(fd int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, v))
	}))
}
