//go:build linux

package proactor

import (
	"context"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/op"
)

func (c *PacketConn) wantsRecv() bool {
	return c.wantRecv && !c.closed && !c.paused && !c.direct && c.broken == nil
}

// startRecv submits the receive, a single one into rescue unless that is nil. mu is held, the worker owned.
func (c *PacketConn) startRecv(rescue []byte) {
	c.rescue, c.hdr = rescue, unix.Msghdr{}
	c.recv.Kind = op.RecvMsg
	c.hdr.Namelen = dgram.NameBytes
	c.hdr.SetControllen(packetControl)
	if rescue != nil {
		c.recv.Kind = op.RecvMsgInto
		c.hdr.Name = &rescue[op.MsgHeadBytes]
		c.hdr.Control = &rescue[op.MsgHeadBytes+dgram.NameBytes]
		c.iov.Base = &rescue[packetFront]
		c.iov.SetLen(len(rescue) - packetFront)
		c.hdr.Iov = &c.iov
		c.hdr.SetIovlen(1)
	}
	c.recv.SetMsg(&c.hdr)
	if err := c.loop.backend.Submit(&c.recv); err != nil {
		c.endRescue()
		c.broken = err
		c.wakeReaders()
		return
	}
	c.recvOn = true
	c.fence.need(c.loop)
}

func (c *PacketConn) endRescue() { c.rescue, c.iov, c.hdr.Iov = nil, unix.Iovec{}, nil }

// onRecv takes one completion in. mu is held, the worker owned.
func (c *PacketConn) onRecv(r *op.Completion) {
	if !r.More {
		c.recvOn = false
	}
	starved := false
	switch {
	case r.Errno == 0 && c.rescue != nil:
		op.MsgHead{Name: c.hdr.Namelen, Control: uint32(c.hdr.Controllen), Payload: uint32(r.Result),
			Flags: uint32(c.hdr.Flags)}.Put(c.rescue)
		c.arrived(buffers.Wrap(c.rescue[: packetFront+r.Result : packetFront+r.Result]))
	case r.Errno == 0:
		c.arrived(r.Lease)
	case c.closed, c.recv.Again(r), r.Errno == syscall.ECANCELED:
	case r.Errno == syscall.ENOBUFS:
		// Whoever holds the loop's buffers must not hold this socket up.
		c.loop.starved.Add(1)
		starved = true
	case r.Errno == syscall.EFAULT:
		// Config.Buffers are too small for even the front of a packet.
		c.broken = callError("read", r.Errno)
		c.wakeReaders()
	default:
		// ECONNREFUSED and its like: the socket goes on. Told to one caller, as the kernel does.
		c.rerr = callError("read", r.Errno)
		c.passRead()
	}
	if c.recvOn {
		return
	}
	c.endRescue()
	if c.direct {
		c.wakeReaders()
	}
	if c.wantsRecv() {
		var rescue []byte
		if starved {
			rescue = make([]byte, packetFront+packetMax)
		}
		c.startRecv(rescue)
	}
}

// arrived queues a packet for the readers, and stops receiving when they have got too far behind.
func (c *PacketConn) arrived(l buffers.Lease) {
	if c.closed {
		l.Release()
		return
	}
	c.inbox.push(l)
	if !c.paused && c.behind() {
		c.paused = true
		if c.recvOn {
			c.loop.backend.Cancel(&c.recv)
		}
	}
	c.passRead()
}

// behind is Conn.behind for packets.
func (c *PacketConn) behind() bool {
	return c.loop.behind(c.inbox.len(), packetQuota*c.loop.engine.quota, &c.fullIn)
}

// taken is called after the inbox got shorter. It reports whether receiving is to be resumed by a kick.
func (c *PacketConn) taken() bool {
	if !c.paused || c.inbox.len() > packetQuota*c.loop.engine.quota/2 {
		return false
	}
	c.paused = false
	return !c.closed
}

// passRead wakes the reader that waits for the shortest time, whose stack is the warmest, if there is something for it
// and no other is on its way. mu is held.
func (c *PacketConn) passRead() {
	if n := len(c.readers); n > 0 && !c.waking && (c.inbox.len() > 0 || c.rerr != nil) {
		w := c.readers[n-1]
		c.readers = c.readers[:n-1]
		c.waking = true
		w.Wake()
	}
}

func (c *PacketConn) wakeReaders() {
	for _, w := range c.readers {
		w.Wake()
	}
	c.readers = c.readers[:0]
}

var packetWaiters = sync.Pool{New: func() any { return new(executor.Waiter) }}

// giveBack gives w, on which nobody waits any more, to the pool. A simulation keeps nothing for the next: what a Waiter
// parks on is its own.
func (c *PacketConn) giveBack(w *executor.Waiter) {
	if c.loop.engine.direct {
		packetWaiters.Put(w)
	}
}

// awaitPacket waits until the inbox holds something, or returns why it will not. ctx may be nil. mu is held on entry and
// on return.
func (c *PacketConn) awaitPacket(ctx context.Context) error {
	for {
		if c.inbox.len() > 0 && !c.closed && !c.passed(c.readAt) {
			return nil
		}
		if err := c.unreadable(ctx); err != nil {
			return err
		}
		if c.direct {
			if c.recvOn || !c.recvDirect() {
				c.waitReadable(ctx)
			}
			continue
		}
		w := packetWaiters.Get().(*executor.Waiter)
		w.PrepareNear(c.loop.w)
		c.readers = append(c.readers, w)
		kick := !c.wantRecv
		c.wantRecv = true
		if c.readAt != 0 {
			c.arm(c.readAt)
		}
		c.mu.Unlock()
		if kick {
			c.loop.w.Command(&c.ctl)
		}
		w.Wait()
		c.giveBack(w)
		c.mu.Lock()
		c.waking = false
	}
}

// ReadPacket returns the next packet, and waits when there is none. The caller releases p.Lease. Datagrams that the kernel
// has joined (UDP_GRO) come as one; Packet.Segment says how long each is. The errors are
// ErrClosed, os.ErrDeadlineExceeded, or that of the socket.
func (c *PacketConn) ReadPacket() (p Packet, err error) {
	c.mu.Lock()
	if err := c.awaitPacket(noContext); err != nil {
		c.passRead()
		c.mu.Unlock()
		return Packet{}, err
	}
	p = c.pop()
	resume := c.taken()
	c.passRead()
	c.mu.Unlock()
	if resume {
		c.kick()
	}
	return p, nil
}

// ReadPackets fills ps with the packets that are there, one at least, and waits when there is none. The caller releases
// their leases. Errors as ReadPacket's.
func (c *PacketConn) ReadPackets(ps []Packet) (int, error) {
	if len(ps) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	if err := c.awaitPacket(noContext); err != nil {
		c.passRead()
		c.mu.Unlock()
		return 0, err
	}
	n := 0
	for n < len(ps) && c.inbox.len() > 0 {
		ps[n] = c.pop()
		n++
	}
	resume := c.taken()
	c.passRead()
	c.mu.Unlock()
	if resume {
		c.kick()
	}
	return n, nil
}

// Received is what Receive says of a datagram.
type Received struct {
	// N and Control are how many bytes were copied, of the payload and of the control messages.
	N, Control int
	// Flags are the MSG_ flags: MSG_TRUNC when the datagram was longer than what it was copied to, MSG_CTRUNC when control
	// messages were lost.
	Flags int
	// From is the sender, Zone the scope of its IPv6 address. Invalid where the kernel knows none.
	From netip.AddrPort
	Zone uint32
}

// Receive copies the next datagram to p and its control messages to control, and waits when there is none. Datagrams that
// the kernel has joined (UDP_GRO) come one by one. Errors as ReadPacket's.
func (c *PacketConn) Receive(p, control []byte) (Received, error) {
	return c.receive(noContext, p, control)
}

// ReceiveContext is Receive that ends with ctx too, and then returns ctx.Err(): at once where it has ended already. What has
// arrived when it ends while the Receive waits is read first.
func (c *PacketConn) ReceiveContext(ctx context.Context, p, control []byte) (Received, error) {
	if err := ctx.Err(); err != nil {
		return Received{}, err
	}
	defer context.AfterFunc(ctx, func() {
		c.mu.Lock()
		c.wakeReaders()
		c.mu.Unlock()
	})()
	return c.receive(ctx, p, control)
}

func (c *PacketConn) receive(ctx context.Context, p, control []byte) (Received, error) {
	c.mu.Lock()
	if err := c.awaitPacket(ctx); err != nil {
		c.passRead()
		c.mu.Unlock()
		return Received{}, err
	}
	r, resume := c.copyNext(p, control)
	c.passRead()
	c.mu.Unlock()
	if resume {
		c.kick()
	}
	return r, nil
}

// ReceiveMore is Receive that does not wait: ok is false when there is nothing.
func (c *PacketConn) ReceiveMore(p, control []byte) (r Received, ok bool) {
	c.mu.Lock()
	if c.closed || c.inbox.len() == 0 {
		c.mu.Unlock()
		return Received{}, false
	}
	r, resume := c.copyNext(p, control)
	c.mu.Unlock()
	if resume {
		c.kick()
	}
	return r, true
}

// copyNext copies out what is next in the inbox, which holds something. mu is held.
func (c *PacketConn) copyNext(p, control []byte) (r Received, resume bool) {
	m, _ := op.SplitMsg(c.inbox.front().Bytes(), dgram.NameBytes, packetControl)
	r.From, r.Zone = dgram.ParseName(m.Name)
	r.Flags = int(m.Flags)
	payload, last := m.Payload[c.cut:], true
	if seg := dgram.Segment(m.Control); seg > 0 && seg < len(payload) {
		payload, last = payload[:seg], false
		r.Flags &^= unix.MSG_TRUNC // which is of the last of them
	}
	if r.N = copy(p, payload); r.N < len(payload) {
		r.Flags |= unix.MSG_TRUNC
	}
	whole := false
	if r.Control, whole = dgram.CopyControl(control, m.Control); !whole {
		r.Flags |= unix.MSG_CTRUNC
	}
	if !last {
		c.cut += len(payload)
		return r, false
	}
	c.cut = 0
	c.inbox.pop().Release()
	return r, c.taken()
}

// pop takes the next packet out of the inbox, what Receive has left of it. mu is held.
func (c *PacketConn) pop() Packet {
	p := packetOf(c.inbox.pop())
	p.Payload, c.cut = p.Payload[c.cut:], 0
	return p
}

func packetOf(l buffers.Lease) Packet {
	m, _ := op.SplitMsg(l.Bytes(), dgram.NameBytes, packetControl)
	return Packet{Lease: l, Payload: m.Payload, Name: m.Name, Control: m.Control, Flags: int(m.Flags),
		Segment: dgram.Segment(m.Control)}
}

// Inject puts a packet that was received elsewhere before those that the engine receives. It is for whoever moves a
// socket to the engine, before anybody reads from it.
func (c *PacketConn) Inject(name, control, payload []byte, flags int) {
	b := make([]byte, packetFront+len(payload))
	n := copy(b[op.MsgHeadBytes:op.MsgHeadBytes+dgram.NameBytes], name)
	m := copy(b[op.MsgHeadBytes+dgram.NameBytes:packetFront], control)
	copy(b[packetFront:], payload)
	op.MsgHead{Name: uint32(n), Control: uint32(m), Payload: uint32(len(payload)), Flags: uint32(flags)}.Put(b)
	c.mu.Lock()
	c.arrived(buffers.Wrap(b))
	c.mu.Unlock()
}
