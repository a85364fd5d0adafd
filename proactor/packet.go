//go:build linux

package proactor

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/op"
)

// PacketConn is a datagram socket on an engine.
//
// States and owners are those of Conn: mu guards every field below it and is never held while waiting, reconcile brings
// what is in flight to where the fields say, and runs only where the loop's worker is owned. What differs follows from
// datagrams being whole:
//
//	receive:  off ─wantRecv─▶ armed ─inbox full─▶ cancelling ─▶ paused ─inbox low─▶ armed …
//	             armed ─ENOBUFS─▶ rescue (one receive into memory of its own) ─▶ armed
//	             armed ─error of the socket─▶ armed (rerr keeps it for whoever calls next)
//	sends:    waiting ─▶ flying ─▶ done; any number at a time, each whole or not at all
//
// While paused, the socket's own buffer fills and the kernel drops what comes then, as for any slow reader.
//
// Readers and writers may be many. Of the readers that wait, one at a time is woken (waking): it takes a packet, and
// when more are left and another waits it wakes that one before it goes on. So a handler that suspends holds up nobody,
// and handlers that do not suspend cost one wake-up per batch rather than one per packet.
//
// Invariants:
//  1. recvOn is set exactly while recv belongs to the backend, as the polls of packetRaw have it; a batch is in flying exactly while one of its
//     operations does.
//  2. fd is closed once, by finish, when closed, and neither recv nor a poll nor any send is in flight and no direct system call
//     runs (uses).
//  3. Every lease in the inbox is released or handed to a caller.
type PacketConn struct {
	loop *loop
	mu   sync.Mutex

	fd    int32
	uses  int32 // direct system calls on fd that run without mu
	local Addr
	peer  Addr

	wantRecv bool
	recvOn   bool
	rescue   []byte // the memory of recv when it is a single receive
	paused   bool
	closed   bool
	finished bool
	waking   bool // a reader was woken and has not run yet
	direct   bool // nothing is received ahead, see packetRaw

	fence  fence
	recv   op.Op
	hdr    unix.Msghdr // recv's
	iov    unix.Iovec  // of a rescue
	inbox  leaseQueue
	cut    int // how much of the payload of the inbox's front Receive has given out
	fullIn uint32
	rerr   error // of the socket; told once
	broken error // for good

	raw             *packetRaw
	closer          *executor.Waiter
	readers         []*executor.Waiter
	waiting, flying sendList
	dropped         uint64 // what Send accepted and the kernel refused
	outBytes        int

	readAt, writeAt int64
	lingerAt        int64 // after Close: until when what Send has accepted may still go; 0 from then on
	armed           int64
	timer           executor.Timer
	ctl             executor.Command
}

const (
	// packetControl is the room for control data in front of each packet's payload.
	packetControl = 256
	// packetFront is what stands before the payload in the memory of a packet.
	packetFront = op.MsgHeadBytes + dgram.NameBytes + packetControl
	// packetMax is the largest packet that a rescue can take, which is the largest of UDP.
	packetMax = 64 << 10
	// packetQuota is how many times as many packets as buffers of a stream may wait for the reader: they are small, and
	// nobody slows the sender down.
	packetQuota = 8
)

// Packet is a received datagram. All slices lie in the lease's memory: they are valid until it is released.
type Packet struct {
	// Lease is the memory, which the owner of the packet releases.
	Lease buffers.Lease
	// Payload is the datagram.
	Payload []byte
	// Name is the sender's address, a struct sockaddr; empty where the kernel knows none.
	Name []byte
	// Control are the control messages, up to 256 bytes of them.
	Control []byte
	// Flags are the MSG_ flags of recvmsg(2): MSG_TRUNC when the datagram was longer than the engine's buffers
	// (Config.Buffers), MSG_CTRUNC when control messages were lost.
	Flags int
	// Segment is the length of each datagram but the last, when the kernel has joined several (UDP_GRO); else 0.
	Segment int
}

// NewPacketConn takes over the datagram socket fd, which must have exactly the status flags of FileFlags. On error the
// descriptor is still the caller's.
func (e *Engine) NewPacketConn(fd int) (*PacketConn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return nil, ErrShutdown
	}
	l := e.assign()
	c := &PacketConn{loop: l, fd: int32(fd)}
	local, peer := l.endpoints(fd)
	c.local, c.peer = *local, peer
	c.recv.Done, c.recv.FD = c, c.fd
	c.ctl.Init(c)
	c.timer.Init(l.w, c)
	l.addPacket(c)
	return c, nil
}

// LocalAddr is the socket's own address; it stays known after Close.
func (c *PacketConn) LocalAddr() Addr { return c.local }

// RemoteAddr is the address that the socket is connected to, if it is.
func (c *PacketConn) RemoteAddr() Addr { return c.peer }

// Engine is the engine that the socket runs on.
func (c *PacketConn) Engine() *Engine { return c.loop.engine }

// Worker is the worker that the socket is bound to: coroutines that use it are cheapest there.
func (c *PacketConn) Worker() *executor.Worker { return c.loop.w }

// Dropped counts the packets that Send accepted and the kernel refused.
func (c *PacketConn) Dropped() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

// Control calls f with the descriptor, which stays valid until f returns. f must not wait, must not close it, and must
// not change its blocking mode.
func (c *PacketConn) Control(f func(fd int) error) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.uses++
	c.mu.Unlock()
	defer func() { // also where f panics: the descriptor would never be closed
		c.mu.Lock()
		c.uses--
		c.finish()
		c.mu.Unlock()
	}()
	return f(int(c.fd))
}

// kick has reconcile run; it reports false when there is nobody left to do it.
func (c *PacketConn) kick() bool {
	if s, ok := c.loop.w.Enter(); ok {
		c.mu.Lock()
		c.reconcile()
		c.mu.Unlock()
		s.Leave()
		return true
	}
	return c.loop.w.Command(&c.ctl)
}

// OnCommand is reconcile's way in from other goroutines.
func (c *PacketConn) OnCommand(*executor.Worker, *executor.Command) {
	c.mu.Lock()
	c.reconcile()
	c.mu.Unlock()
}

// reconcile submits and cancels until what is in flight is what should be. mu is held, the worker owned.
func (c *PacketConn) reconcile() {
	switch {
	case c.recvOn && (c.closed || c.paused || c.direct):
		c.loop.backend.Cancel(&c.recv)
	case !c.recvOn && c.wantsRecv():
		c.startRecv(nil)
	}
	c.reconcilePolls()
	for b := c.flying.head; b != nil; b = b.next {
		if c.ends(b) {
			b.cancel()
		}
	}
	for b := c.waiting.pop(); b != nil; b = c.waiting.pop() {
		c.start(b)
	}
	c.finish()
}

// Complete is told by the backend, in loop state, of a receive.
func (c *PacketConn) Complete(o *op.Op, r *op.Completion) {
	c.mu.Lock()
	switch {
	case o == &c.fence.op:
		c.fence.end()
	case c.onPoll(o, r):
	case o == &c.recv && c.recvOn:
		c.onRecv(r)
	default:
		c.loop.late(o, r)
	}
	c.finish()
	c.mu.Unlock()
}

// Close closes the socket: whoever waits on it returns ErrClosed. Packets that were received and not read are dropped; what
// Send has accepted still goes, for up to a second where the socket has no room. It returns when the descriptor is closed,
// and so the port free; that takes a turn of the worker. Not for the engine's own callbacks.
func (c *PacketConn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.shut()
	if c.finished {
		c.mu.Unlock()
		return nil
	}
	w := new(executor.Waiter)
	w.PrepareNear(c.loop.w)
	c.closer = w
	c.mu.Unlock()
	if c.kick() || !w.Disarm() {
		w.Wait()
	}
	return nil
}

// end is Close for who cannot wait.
func (c *PacketConn) end() {
	c.mu.Lock()
	if !c.closed {
		c.shut()
	}
	c.mu.Unlock()
	c.kick()
}

// shut marks c closed. mu is held.
func (c *PacketConn) shut() {
	c.closed = true
	c.inbox.drop()
	c.wakeReaders()
	c.wakeWriters()
	if c.outBytes > 0 {
		c.lingerAt = c.loop.engine.clock.Now() + int64(forcedLinger)
		c.arm(c.lingerAt)
	}
	c.finish()
}

// ends reports whether b, which is in flight, is to end now.
func (c *PacketConn) ends(b *sendBatch) bool {
	return b.expired || c.closed && (b.waits || c.lingerAt == 0)
}

// finish closes the descriptor once nothing needs it any more. mu is held; any goroutine.
func (c *PacketConn) finish() {
	if !c.closed || c.finished || c.recvOn || c.polled() || c.uses > 0 || c.flying.head != nil || c.waiting.head != nil {
		return
	}
	if !c.letGo() && c.loop.w.Command(&c.ctl) {
		return // reconcile finishes
	}
	if c.fence.on {
		return // Complete finishes
	}
	c.finished = true
	c.timer.Stop()
	c.loop.engine.system.Close(int(c.fd), op.Waiting) // memberships of groups end under a lock of the whole system
	c.loop.removePacket(c)
	if c.closer != nil {
		c.closer.Wake()
	}
}

// letGo has the backend and the kernel let go of the descriptor; that may take a fence. It reports false when the caller is
// not on the worker, where it is to be done. mu is held.
func (c *PacketConn) letGo() bool {
	if !c.fence.needed {
		return c.loop.forget(int(c.fd))
	}
	s, on := c.loop.w.Enter()
	if on {
		c.fence.passed(c.loop, c)
		s.Leave()
	}
	return on
}

// broke ends c with its backend; see broke.go.
func (c *PacketConn) broke(err error) {
	c.mu.Lock()
	c.recvOn = false
	if p := c.raw; p != nil {
		p.in.on, p.out.on = false, false
	}
	c.fence.end()
	c.broken = err
	for b := c.flying.pop(); b != nil; b = c.flying.pop() {
		b.lost(err)
	}
	for b := c.waiting.pop(); b != nil; b = c.waiting.pop() {
		b.lost(err)
	}
	if !c.closed {
		c.shut()
	}
	c.finish()
	c.mu.Unlock()
}

var _ op.Completer = (*PacketConn)(nil)
