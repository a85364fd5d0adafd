//go:build linux

package net

import (
	"errors"
	"net/netip"
	"os"
	"sync"
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
		if !c.thrownOut(err) && !c.plain.evicted(&c.udpMode, err) {
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
		if c.gro.CompareAndSwap(false, true) { // before the first joined datagram can come; it stays set, as some may be waiting
			await(c.evictPlain)
		}
	}
	return c.ownError("set", c.control(func(fd int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, v))
	}))
}
