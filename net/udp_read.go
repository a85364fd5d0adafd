//go:build linux

package net

import (
	"errors"
	stdnet "net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/proactor"
)

// receive reads one datagram in the mode that the socket is in; call names the standard library's system call for errors.
func (c *UDPConn) receive(call string, b, oob []byte) (r proactor.Received, err error) {
	for {
		if pc := c.onEngine(); pc != nil {
			if r, err = pc.Receive(b, oob); err == nil {
				return r, nil
			}
			return r, c.opError("read", nil, named(call, err))
		}
		if onCoroutine() {
			r, err = awaited(func() (proactor.Received, error) { return c.receiveRuntime(call, b, oob) })
		} else {
			r, err = c.receiveRuntime(call, b, oob)
		}
		if err == nil {
			return r, nil
		}
		if !c.thrownOut(err) && !c.plain.evicted(&c.udpMode, err) {
			return r, c.opError("read", nil, err)
		}
	}
}

// named is err with call as the name of the system call.
func named(call string, err error) error {
	if e, ok := err.(*os.SyscallError); ok {
		return os.NewSyscallError(call, e.Err)
	}
	return err
}

// readCall is one receive in runtime mode. The runtime calls run under the descriptor's read lock, so that of all readers
// of a socket one at a time is inside; what belongs to the socket's reading (UDPConn.ahead) is touched there only.
type readCall struct {
	c      *UDPConn
	b, oob []byte
	batch  []Message // instead of b and oob
	fn     func(uintptr) bool
	done   int // messages of batch
	r      proactor.Received
	errno  syscall.Errno

	hdr  unix.Msghdr
	iov  unix.Iovec
	name [dgram.NameBytes]byte
}

var readCalls = sync.Pool{New: func() any {
	r := new(readCall)
	r.fn = r.run
	return r
}}

func (c *UDPConn) receiveRuntime(call string, b, oob []byte) (proactor.Received, error) {
	rc := readCalls.Get().(*readCall)
	rc.c, rc.b, rc.oob = c, b, oob
	err := c.raw.Read(rc.fn)
	r, errno := rc.r, rc.errno
	rc.free()
	switch {
	case err != nil:
		return r, bare(err)
	case errno != 0:
		return r, os.NewSyscallError(call, errno)
	}
	return r, nil
}

func (r *readCall) free() {
	fn := r.fn
	*r = readCall{fn: fn}
	readCalls.Put(r)
}

// run tries to receive; false means that there is nothing yet.
func (r *readCall) run(fd uintptr) bool {
	c := r.c
	if c.ahead == nil && c.gro.Load() && !c.startAhead() {
		r.errno = syscall.ENOMEM
		return true
	}
	if c.ahead != nil {
		return r.fromAhead(int(fd))
	}
	if r.batch != nil {
		return r.runBatch(int(fd))
	}
	r.hdr = unix.Msghdr{Name: &r.name[0], Namelen: dgram.NameBytes, Iov: &r.iov}
	r.hdr.SetIovlen(1)
	if len(r.b) > 0 {
		r.iov.Base = &r.b[0]
		r.iov.SetLen(len(r.b))
	}
	if len(r.oob) > 0 {
		r.hdr.Control = &r.oob[0]
		r.hdr.SetControllen(len(r.oob))
	}
	n, errno := dgram.RecvOne(int(fd), &r.hdr, 0)
	switch errno {
	case syscall.EAGAIN:
		return false
	case 0:
		r.r = proactor.Received{N: n, Control: int(r.hdr.Controllen), Flags: int(r.hdr.Flags)}
		r.r.From, r.r.Zone = dgram.ParseName(r.name[:r.hdr.Namelen])
	default:
		r.errno = errno
	}
	return true
}

// Read reads a datagram of a connected socket; what does not fit into b is lost.
func (c *UDPConn) Read(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if len(b) == 0 {
		// The standard library looks at nothing but whether it may read.
		return 0, c.mayRead()
	}
	if c.beginPlain() {
		n, err := c.std.Read(b)
		if c.endPlain(err) {
			return n, err
		}
	}
	r, err := c.receive("read", b, nil)
	return r.N, err
}

// mayRead is what a Read of nothing returns.
func (c *UDPConn) mayRead() error {
	if pc := c.onEngine(); pc != nil {
		if err := pc.Control(func(int) error { return nil }); err != nil {
			return c.opError("read", nil, err)
		}
		return nil
	}
	_, err := c.std.Read(nil)
	if err != nil && c.thrownOut(err) {
		return c.mayRead()
	}
	return err
}

// ReadFrom reads a datagram and says who sent it. What does not fit into b is lost.
func (c *UDPConn) ReadFrom(b []byte) (int, Addr, error) {
	n, addr, err := c.ReadFromUDP(b)
	if addr == nil {
		return n, nil, err
	}
	return n, addr, err
}

// ReadFromUDP is ReadFrom with the address's own type.
//
// It is inlined, so that the address takes no memory where the caller does not keep it.
func (c *UDPConn) ReadFromUDP(b []byte) (n int, addr *UDPAddr, err error) {
	return c.readFromUDP(b, &UDPAddr{})
}

func (c *UDPConn) readFromUDP(b []byte, addr *UDPAddr) (int, *UDPAddr, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil || !from.IsValid() {
		return n, nil, err
	}
	addr.IP, addr.Port, addr.Zone = from.Addr().AsSlice(), int(from.Port()), from.Addr().Zone()
	return n, addr, nil
}

// ReadFromUDPAddrPort is ReadFrom without an allocation for the address.
func (c *UDPConn) ReadFromUDPAddrPort(b []byte) (n int, addr netip.AddrPort, err error) {
	if !c.ok() {
		return 0, netip.AddrPort{}, syscall.EINVAL
	}
	if c.beginPlain() {
		n, addr, err := c.std.ReadFromUDPAddrPort(b)
		if c.endPlain(err) {
			return n, addr, err
		}
	}
	r, err := c.receive("recvfrom", b, nil)
	return r.N, withZone(r.From, r.Zone), err
}

// ReadMsgUDP reads a datagram into b and its control messages into oob, and says how much of either, the flags of
// recvmsg(2) and the sender. See packages golang.org/x/net/ipv4 and ipv6 for the control messages.
func (c *UDPConn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *UDPAddr, err error) {
	n, oobn, flags, from, err := c.ReadMsgUDPAddrPort(b, oob)
	if from.IsValid() {
		addr = UDPAddrFromAddrPort(from)
	}
	return n, oobn, flags, addr, err
}

// ReadMsgUDPAddrPort is ReadMsgUDP without an allocation for the address.
func (c *UDPConn) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	if !c.ok() {
		return 0, 0, 0, netip.AddrPort{}, syscall.EINVAL
	}
	if c.beginPlain() {
		n, oobn, flags, addr, err := c.std.ReadMsgUDPAddrPort(b, oob)
		if c.endPlain(err) {
			return n, oobn, flags, addr, err
		}
	}
	r, err := c.receive("recvmsg", b, oob)
	if err != nil {
		// As the standard library: no address of the socket's family.
		addr = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
		if c.isInet6() {
			addr = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
		}
		return nOfFailed(err), 0, 0, addr, err
	}
	return r.N, r.Control, r.Flags, withZone(r.From, r.Zone), nil
}

// nOfFailed is the number of bytes that the standard library returns with an error of recvmsg(2): the system call's own.
func nOfFailed(err error) int {
	var e *os.SyscallError
	if errors.As(err, &e) {
		return -1
	}
	return 0
}

// withZone gives ap the name of its zone.
func withZone(ap netip.AddrPort, zone uint32) netip.AddrPort {
	if zone == 0 {
		return ap
	}
	return netip.AddrPortFrom(ap.Addr().WithZone(zones.name(zone)), ap.Port())
}

// zones remembers interface names for a while, as the standard library does: asking for one is several system calls.
var zones zoneCache

type zoneCache struct {
	mu     sync.Mutex
	names  map[uint32]string
	loaded time.Time
}

const zonesFresh = time.Minute

func (z *zoneCache) name(index uint32) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	if name, ok := z.names[index]; ok && time.Since(z.loaded) < zonesFresh {
		return name
	}
	if z.names == nil || time.Since(z.loaded) >= zonesFresh {
		z.names, z.loaded = map[uint32]string{}, time.Now()
	}
	name := strconv.FormatUint(uint64(index), 10)
	if ifi, err := stdnet.InterfaceByIndex(int(index)); err == nil {
		name = ifi.Name
	}
	z.names[index] = name
	return name
}
